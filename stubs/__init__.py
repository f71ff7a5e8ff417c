"""A table model's signature as protobuf: messages with a field a column, for callers of every language."""
