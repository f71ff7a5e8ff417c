"""A model's signature as protobuf: messages with its own columns and classes, for callers of every language."""
