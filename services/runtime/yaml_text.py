"""YAML that somebody else wrote, and the one error for what is none.

PyYAML tells of wrong syntax by a YAMLError. What its constructors of dates and numbers meet, as in an unquoted
2024-02-30, and nesting too deep for it, come as whatever exception they happen to be.
"""

import yaml


def read_yaml(content: bytes) -> dict[str, object]:
    """The mapping that a YAML file is, empty for an empty file. Raises yaml.YAMLError."""
    try:
        read = yaml.safe_load(content.decode())
    except (ValueError, LookupError, AttributeError, RecursionError) as error:
        raise yaml.YAMLError(str(error)) from None
    if not isinstance(read, dict | None):
        raise yaml.YAMLError(f"a mapping is needed, got {type(read).__name__}")
    return read or {}
