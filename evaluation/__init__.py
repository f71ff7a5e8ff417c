"""How good a model is: figures from right and predicted answers, and their pictures. Knows arrays alone."""
