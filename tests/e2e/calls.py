"""Raw calls: bytes out, and what came back, whether an answer or an error in the fleet's form."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import grpc
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

Metadata = Sequence[tuple[str, str]]

TIMEOUT_S = 30.0
MAX_MESSAGE_BYTES = 512
DETAILS = "grpc-status-details-bin"

# What must not be seen of the inside: a path, the name of a Python or C++ class, a traceback.
_INSIDE = re.compile(
    r"(^|[\s'\"(=])/[a-z]\w*/|\.py\b|\.cc\b|Traceback|\w(Error|Exception)\b|site-packages|onnxruntime::"
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as a caller has it; `trailers` are those that are text."""

    code: grpc.StatusCode
    message: str
    reason: str
    domain: str
    field: str
    retry_after_s: float | None
    trailers: dict[str, str]


def call(
    channel: grpc.Channel,
    method: str,
    request: Message | bytes,
    *,
    metadata: Metadata = (),
    timeout_s: float = TIMEOUT_S,
    compression: grpc.Compression | None = None,
) -> bytes:
    """The reply of a unary method. Raises grpc.RpcError."""
    message = request if isinstance(request, bytes) else request.SerializeToString()
    reply: bytes = channel.unary_unary(method)(message, timeout_s, metadata, compression=compression)
    return reply


def refused(
    channel: grpc.Channel,
    method: str,
    request: Message | bytes,
    *,
    metadata: Metadata = (),
    timeout_s: float = TIMEOUT_S,
    compression: grpc.Compression | None = None,
) -> Refusal:
    """The error that a call must be answered with, in the fleet's form. Raises AssertionError where it is answered."""
    try:
        call(channel, method, request, metadata=metadata, timeout_s=timeout_s, compression=compression)
    except grpc.RpcError as error:
        found = refusal_of(error)
        check_form(found)
        return found
    raise AssertionError(f"{method} was answered, not refused")


def refusal_of(error: grpc.RpcError) -> Refusal:
    """Everything that an error says; empty where it has no details of ours."""
    trailers = {str(key): value for key, value in error.trailing_metadata() or ()}
    status = Status.FromString(trailers.get(DETAILS, b""))
    info, retry = ErrorInfo(), RetryInfo()
    has_retry = False
    for detail in status.details:
        detail.Unpack(info)
        has_retry = detail.Unpack(retry) or has_retry
    return Refusal(
        error.code(),
        error.details() or "",
        info.reason,
        info.domain,
        info.metadata.get("field", ""),
        retry.retry_delay.ToNanoseconds() / 1e9 if has_retry else None,
        {key: value for key, value in trailers.items() if isinstance(value, str)},
    )


def raw_reason(answer: Mapping[str, str]) -> str:
    """ErrorInfo's reason in the headers and trailers of a call; empty where there is none."""
    details = answer.get(DETAILS, "")
    info = ErrorInfo()
    for detail in Status.FromString(base64.b64decode(details + "=" * (-len(details) % 4))).details:
        detail.Unpack(info)
    return str(info.reason)


def check_form(refusal: Refusal) -> None:
    """design.md, Errors: ErrorInfo always, at most 512 bytes, nothing of the inside."""
    assert refusal.domain == "argosy", refusal
    assert re.fullmatch(r"[A-Z][A-Z0-9_]+", refusal.reason), refusal
    assert 0 < len(refusal.message.encode()) <= MAX_MESSAGE_BYTES, refusal
    assert not _INSIDE.search(refusal.message), refusal
