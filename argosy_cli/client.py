"""Calls to the fleet: one place for the channel, the routing header, the timing trailers and the errors.

A caller of Argosy needs what is here and no more: a channel that takes 64 MiB messages and notices a frozen peer, the
header `argosy-model` that spares the router a look into the message, and an eye on the trailers. Every gRPC error
becomes one line that says what to do. This module deliberately retries nothing: the router does.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from argosy.v1 import model_pb2
from argosy.v1.manifest_pb2 import ModelManifest
from argosy.v1.model_pb2_grpc import ModelServiceStub
from argosy_cli.errors import CliError

Request = TypeVar("Request")
Response = TypeVar("Response")

MODEL_HEADER = "argosy-model"
MAX_MESSAGE_BYTES = 64 << 20
CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # Both times are needed: without ping_timeout_ms a frozen peer is noticed after a minute.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.http2.ping_timeout_ms", 2_000),
)


@dataclass(frozen=True, slots=True)
class Timing:
    """What a reply says of itself in its trailers; None where it does not say."""

    latency_ms: float
    queue_us: int | None
    compute_us: int | None
    batch_rows: int | None
    model_version: str
    device: str


@dataclass(frozen=True, slots=True)
class Reply(Generic[Response]):
    """An answer and where its time went."""

    message: Response
    timing: Timing


@dataclass(frozen=True, slots=True)
class Fleet:
    """An open channel to a router or straight to a service; every call ends within `timeout_s`."""

    address: str
    channel: grpc.Channel
    timeout_s: float

    def call(
        self, method: "grpc.UnaryUnaryMultiCallable[Request, Response]", request: Request, model: str = ""
    ) -> Reply[Response]:
        """One call. Raises CliError for every gRPC error."""
        metadata = ((MODEL_HEADER, model),) if model else ()
        begun = time.perf_counter()
        try:
            message, call = method.with_call(request, timeout=self.timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            raise self.problem(error) from None
        return Reply(message, _timing((time.perf_counter() - begun) * 1e3, _texts(call.trailing_metadata())))

    def statuses(self, model: str = "") -> Sequence[model_pb2.ModelStatus]:
        """The versions of `model`, or of every model. Raises CliError."""
        stub = ModelServiceStub(self.channel)
        return self.call(stub.ListModels, model_pb2.ListModelsRequest(model=model), model).message.models

    def manifest(self, model: str, version: str = "") -> ModelManifest:
        """The manifest of a model-version; '' is the default one. Raises CliError."""
        stub = ModelServiceStub(self.channel)
        request = model_pb2.GetModelRequest(model=model, version=version)
        return self.call(stub.GetModel, request, model).message.manifest

    def problem(self, error: grpc.RpcError) -> CliError:
        """The error in one line that says what to do."""
        return CliError(_line(error, self.address, self.timeout_s))


@contextmanager
def connect(address: str, timeout_s: float) -> Iterator[Fleet]:
    """A channel that is closed at the end of the block. It connects with the first call."""
    with grpc.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        yield Fleet(address, channel, timeout_s)


def _timing(latency_ms: float, trailers: dict[str, str]) -> Timing:
    return Timing(
        latency_ms,
        _number(trailers.get("argosy-queue-us")),
        _number(trailers.get("argosy-compute-us")),
        _number(trailers.get("argosy-batch-rows")),
        trailers.get("argosy-model-version", ""),
        trailers.get("argosy-device", ""),
    )


def _texts(metadata: "Sequence[tuple[str, str | bytes]] | None") -> dict[str, str]:
    return {key: value for key, value in metadata or () if isinstance(value, str)}


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _line(error: grpc.RpcError, address: str, timeout_s: float) -> str:
    if not isinstance(error, grpc.Call):
        return f"the call to {address} failed: {error}"
    code, details = error.code(), " ".join((error.details() or "").split())
    reason = error_reason(error)
    if code is grpc.StatusCode.UNAVAILABLE and not reason and _never_connected(details):
        return f"no fleet at {address}: start one with `argosy up`"
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"no answer from {address} within {timeout_s:g} s: allow more with --timeout ({details})"
    if reason == "UNKNOWN_MODEL":
        return f"{details}: `argosy models` lists what is served"
    return f"{details} ({reason or code.name})"


def error_reason(error: grpc.Call) -> str:
    """ErrorInfo's UPPER_SNAKE word; '' where the error carries none, or one that is not in order."""
    try:
        status = rpc_status.from_call(error)
    except ValueError:
        return ""
    for detail in status.details if status is not None else ():
        info = ErrorInfo()
        if detail.Unpack(info):
            return str(info.reason)
    return ""


def _never_connected(details: str) -> bool:
    # gRPC's own words: the status alone does not tell an absent server from one that is busy.
    return "failed to connect" in details or "Connection refused" in details or "DNS resolution failed" in details
