"""From a trained model to a folder that a service can serve: convert, name, verify, publish."""
