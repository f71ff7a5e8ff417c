"""The networks of the pretrained reference models, written out: packages bring weights, not code that we would run."""
