"""The log lines of the fleet's processes: JSON objects, now and then something else, such as a traceback."""

import json

_NOT_SHOWN = frozenset({"event", "level", "timestamp", "service"})


def log_fields(line: str) -> dict[str, str]:
    """The text fields of a JSON log line; empty where it is none."""
    try:
        document = json.loads(line)
    except ValueError:
        return {}
    if not isinstance(document, dict):
        return {}
    return {key: value for key, value in document.items() if isinstance(value, str)}


def plain_line(line: str) -> str:
    """The line for a person: level, event, and the other text fields; as it is where it is no JSON object."""
    fields = log_fields(line)
    if not fields:
        return line
    rest = (f"{key}={value}" for key, value in fields.items() if key not in _NOT_SHOWN)
    return " ".join((f"{fields.get('level', '')}: {fields.get('event', '')}", *rest))
