"""Bytes to the message they should be.

Every task decodes its own request, and a request that is no message is the caller's fault whatever the task. protobuf's
own words for it are not shown: they name its parser's internals. What is inside the message is the task's to check.
"""

from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from services.runtime.wire import malformed

M = TypeVar("M", bound=Message)


def parse(message_type: type[M], data: bytes) -> M:
    """The message that `data` holds.

    Raises ServingError (INVALID_INPUT, MALFORMED_MESSAGE) where the bytes are cut short or corrupt, nested deeper than
    protobuf's 100 levels, or where a string is not UTF-8.
    """
    try:
        return message_type.FromString(data)
    except DecodeError:
        raise malformed(message_type.DESCRIPTOR.full_name) from None
