"""What can go wrong with a call, as exceptions that are told apart by the fleet's own reason.

A caller acts on the reason (google.rpc.ErrorInfo), which does not change with a message's wording; an error without
one, made by gRPC itself, is told apart by its status. This module deliberately does not decide what is tried again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

DETAILS_TRAILER = "grpc-status-details-bin"


@dataclass(slots=True, eq=False)
class ArgosyError(Exception):
    """A call that was not answered.

    `status` is gRPC's; `reason` ErrorInfo's UPPER_SNAKE word, '' where gRPC itself made the error; `field` the part of
    the request at fault, '' where there is none; `retry_after_s` is set where the same request can succeed later.
    """

    status: grpc.StatusCode
    message: str
    reason: str = ""
    field: str = field(default="")
    retry_after_s: float | None = None

    def __str__(self) -> str:
        """`INVALID_ARGUMENT IMAGE_UNDECODABLE field=images[0]: message`."""
        words = [self.status.name, self.reason, f"field={self.field}" if self.field else ""]
        return f"{' '.join(filter(None, words))}: {' '.join(self.message.split())}"


class InvalidInputError(ArgosyError):
    """The request itself is wrong."""


class UndecodableImageError(InvalidInputError):
    """An image is no JPEG, PNG, WebP or BMP file, or is damaged."""


class UnknownColumnError(InvalidInputError):
    """A row has a column that the model does not."""


class NotFoundError(ArgosyError):
    """What was asked for is not there."""


class UnknownModelError(NotFoundError):
    """No model of this name."""


class UnknownVersionError(NotFoundError):
    """The model has no such version."""


class ExhaustedError(ArgosyError):
    """A bound was reached."""


class QueueFullError(ExhaustedError):
    """More requests wait than the model can take."""


class MessageTooLargeError(ExhaustedError):
    """A request or a reply over the size limit."""


class UnavailableError(ArgosyError):
    """No endpoint answers for the model now, or no fleet was reached."""


class DeadlineExceededError(ArgosyError):
    """The timeout passed before there was an answer."""


class CancelledError(ArgosyError):
    """The call was cancelled on this side."""


class UnauthenticatedError(ArgosyError):
    """No credentials, or wrong ones."""


class PermissionDeniedError(ArgosyError):
    """The credentials do not allow this."""


class InternalError(ArgosyError):
    """A fault of the fleet; the message has an id that finds the details in its log."""


_BY_REASON: Mapping[str, type[ArgosyError]] = {
    "ANSWER_TOO_LARGE": MessageTooLargeError,
    "IMAGE_UNDECODABLE": UndecodableImageError,
    "MESSAGE_TOO_LARGE": MessageTooLargeError,
    "QUEUE_FULL": QueueFullError,
    "UNKNOWN_COLUMN": UnknownColumnError,
    "UNKNOWN_MODEL": UnknownModelError,
    "UNKNOWN_VERSION": UnknownVersionError,
}

_BY_STATUS: Mapping[grpc.StatusCode, type[ArgosyError]] = {
    grpc.StatusCode.CANCELLED: CancelledError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
    grpc.StatusCode.INTERNAL: InternalError,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidInputError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ExhaustedError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
}


def error_of(code: grpc.StatusCode, message: str, trailers: Mapping[str, str | bytes]) -> ArgosyError:
    """The exception for a failed call, from what gRPC has of it."""
    info, retry_after_s = _details(trailers.get(DETAILS_TRAILER, b""))
    kind = _BY_REASON.get(info.reason) or _BY_STATUS.get(code, ArgosyError)
    return kind(code, message, info.reason, info.metadata.get("field", ""), retry_after_s)


def unusable_input(message: str, where: str = "") -> InvalidInputError:
    """An input that this side cannot make a request of."""
    return InvalidInputError(grpc.StatusCode.INVALID_ARGUMENT, message, "CLIENT_INPUT", where)


def closed_fleet() -> CancelledError:
    """A call that comes after `close`."""
    return CancelledError(grpc.StatusCode.CANCELLED, "the fleet is closed")


def utf8(text: str, where: str) -> bytes:
    """As every text travels. Raises InvalidInputError for half of a surrogate pair, which is no character."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise unusable_input(f"no Unicode text: half a character at {error.start}", where) from None


def _details(packed: str | bytes) -> tuple[ErrorInfo, float | None]:
    info, retry, retry_after_s = ErrorInfo(), RetryInfo(), None
    try:
        status = Status.FromString(packed if isinstance(packed, bytes) else b"")
        for detail in status.details:
            if detail.Is(ErrorInfo.DESCRIPTOR):
                detail.Unpack(info)
            elif detail.Unpack(retry):
                retry_after_s = retry.retry_delay.ToTimedelta().total_seconds()
    except DecodeError:
        # Details that are not in order say nothing; status and message still do.
        return ErrorInfo(), None
    return info, retry_after_s
