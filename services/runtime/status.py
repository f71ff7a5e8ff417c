"""A ServingError as gRPC carries it: code, message, and google.rpc.Status in the trailer grpc-status-details-bin.

Every error has ErrorInfo, so that a caller can branch on a reason that does not change with the wording. One that can
succeed later has RetryInfo, one that speaks of a part of the request has BadRequest.
"""

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status

from services.runtime.errors import GRPC_STATUS, MAX_MESSAGE_BYTES, Cause, ServingError

DOMAIN = "argosy"
DETAILS_TRAILER = "grpc-status-details-bin"

# A client takes 8 KiB of trailers, and a field's name may have come from a request.
_MAX_FIELD_BYTES = 128


def grpc_code(error: ServingError) -> int:
    """The number of the gRPC status code."""
    return GRPC_STATUS[error.cause]


def bounded_message(error: ServingError) -> str:
    """The error's text in at most 512 bytes of UTF-8."""
    return _cut(error.message, MAX_MESSAGE_BYTES)


def status_details(error: ServingError) -> bytes:
    """The serialised google.rpc.Status for the trailer grpc-status-details-bin."""
    message = bounded_message(error)
    status = Status(code=grpc_code(error), message=message)
    field = _cut(error.field, _MAX_FIELD_BYTES)
    info = ErrorInfo(reason=error.reason, domain=DOMAIN)
    if field:
        info.metadata["field"] = field
    status.details.append(_packed(info))
    if error.cause is Cause.INVALID_INPUT and field:
        violation = BadRequest.FieldViolation(field=field, description=message)
        status.details.append(_packed(BadRequest(field_violations=[violation])))
    if error.cause is Cause.EXHAUSTED:
        violations = [QuotaFailure.Violation(subject=error.reason, description=message)]
        status.details.append(_packed(QuotaFailure(violations=violations)))
    if error.retry_after_s is not None:
        delay = Duration()
        delay.FromNanoseconds(int(error.retry_after_s * 1e9))
        status.details.append(_packed(RetryInfo(retry_delay=delay)))
    return bytes(status.SerializeToString())


def _cut(text: str, max_bytes: int) -> str:
    encoded = text.encode()
    if len(encoded) <= max_bytes:
        return text
    return encoded[: max_bytes - 3].decode(errors="ignore") + "…"


def _packed(detail: ErrorInfo | BadRequest | QuotaFailure | RetryInfo) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed
