"""The router: a control plane in Python that tells Envoy where each model is served, and what Envoy cannot place."""
