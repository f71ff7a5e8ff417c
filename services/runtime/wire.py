"""The few facts that a front reads from a message without knowing its type.

Every request has its model in field 1 and its version in field 2; a typed request's rows are the elements of one
repeated field. That is all that queueing needs, so the walk below passes over everything else. Like every protobuf
parser it takes the last of a field that comes twice. Whether the rest of the message is right is the task's to say.

Encoding: https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator
from dataclasses import dataclass

from services.runtime.errors import ServingError, invalid_input

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

MALFORMED = "MALFORMED_MESSAGE"

# A message of nothing but tiny fields costs far more to read than its bytes say.
MAX_FIELDS = 250_000


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a request says before it is understood."""

    model: str
    version: str
    row_count: int
    other_bytes: int  # of all fields but the rows


def read_envelope(message: bytes, rows_field: int, message_name: str) -> Envelope:
    """Model, version and the number of elements of `rows_field`, 0 for none. Raises ServingError (INVALID_INPUT)."""
    model = version = b""
    row_count = field_count = 0
    position, end = 0, len(message)
    other_bytes = end
    try:
        while position < end:
            begin = position
            tag, position = _varint(message, position)
            number, kind = tag >> 3, tag & 7
            start, position = _extent(message, position, kind)
            if position > end or not 0 < number < 1 << 29:
                raise malformed(message_name)
            field_count += 1
            if field_count > MAX_FIELDS:
                raise too_many_fields(message_name)
            if number == rows_field and kind == _BYTES:
                row_count += 1
                other_bytes -= position - begin
            elif number == 1 and kind == _BYTES:
                model = message[start:position]
            elif number == 2 and kind == _BYTES:
                version = message[start:position]
        return Envelope(model.decode(), version.decode(), row_count, other_bytes)
    except (IndexError, UnicodeDecodeError):
        raise malformed(message_name) from None


class Rows:
    """The elements of `rows_field` in a message that `read_envelope` has read. They are found once, by whoever first
    asks: a large request is asked for each of its parts.
    """

    def __init__(self, message: bytes, rows_field: int) -> None:
        self._message, self._field = message, rows_field
        self._places: list[tuple[int, int]] | None = None

    def only(self, rows: range) -> bytes:
        """The message without its other rows."""
        if self._places is None:
            self._places = list(_places(self._message, self._field))
        kept: list[bytes] = []
        position = 0
        for row, (begin, end) in enumerate(self._places):
            if row not in rows:
                kept.append(self._message[position:begin])
                position = end
        return b"".join([*kept, self._message[position:]])


def _places(message: bytes, rows_field: int) -> Iterator[tuple[int, int]]:
    position = 0
    while position < len(message):
        begin = position
        tag, position = _varint(message, position)
        _, position = _extent(message, position, tag & 7)
        if tag == rows_field << 3 | _BYTES:
            yield begin, position


def request_name(method: str) -> str:
    """'/argosy.v1.TextService/Embed' -> 'argosy.v1.TextServiceEmbedRequest'."""
    service, _, name = method.removeprefix("/").partition("/")
    return f"{service}{name}Request"


def malformed(message_name: str) -> ServingError:
    """The bytes are not a message of that name."""
    return invalid_input(
        f"{message_name}: the bytes are no valid message (cut short, nested too deep, or a string that is not UTF-8)",
        reason=MALFORMED,
    )


def too_many_fields(message_name: str) -> ServingError:
    """More rows and other fields than one message may have."""
    return invalid_input(f"{message_name}: at most {MAX_FIELDS} fields are read", reason="TOO_MANY_FIELDS")


def _extent(message: bytes, position: int, kind: int) -> tuple[int, int]:
    """Where a field's contents begin and end."""
    if kind == _BYTES:
        length, position = _varint(message, position)
        return position, position + length
    if kind == _VARINT:
        return position, _varint(message, position)[1]
    if kind == _FIXED64:
        return position, position + 8
    if kind == _FIXED32:
        return position, position + 4
    raise IndexError(kind)  # groups are not proto3


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = message[position]
    position += 1
    if value < 0x80:
        return value, position
    value &= 0x7F
    for shift in range(7, 70, 7):
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise IndexError(position)
