"""The tabular service: rows of named columns in; classes or numbers out."""
