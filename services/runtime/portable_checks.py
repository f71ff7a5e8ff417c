"""Bounds that the portable front holds a message against before it is queued."""

from services.runtime.errors import exhausted, invalid_input
from services.runtime.front import QueueSpec
from services.runtime.wire import Envelope


def check_size(message: bytes, limit: int) -> None:
    """Raise ServingError (EXHAUSTED) for a message over the limit."""
    if len(message) > limit:
        raise exhausted("MESSAGE_TOO_LARGE", f"a message of at most {limit} bytes is taken, got {len(message)}")


def check_parts(envelope: Envelope, spec: QueueSpec, limit: int) -> None:
    """Refuse a typed request whose parts, each with all that is not rows, would come to more than a message may."""
    rows, other = spec.policy.max_batch_rows, envelope.other_bytes
    parts = -(-envelope.row_count // rows)
    if parts > 1 and parts * other > limit:
        raise invalid_input(
            f"{other} bytes that are not rows in each of {parts} parts of {rows} rows are over {limit} bytes",
            reason="TOO_LARGE_FOR_PARTS",
        )


def check_rows(rows: int, spec: QueueSpec, field: str) -> None:
    if rows > (limit := spec.policy.max_request_rows):
        raise invalid_input(f"{field}: at most {limit} rows a request, got {rows}", field, "TOO_MANY_ROWS")
