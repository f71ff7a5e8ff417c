"""The reference models: real data and weights, one module a model."""
