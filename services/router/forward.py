"""What Envoy could not place: parsed in full, answered or sent on. Slow and right.

It comes here for one of four reasons: no ready endpoint has the model; the message is compressed and has no headers;
its model could not be read by Envoy; or the model keeps a state and no header says whose step it is. The brain looks at
the whole first message, as a service would, and where the model is ready it sends the call to Envoy's inner listener
with the model, and the sequence where there is one, in headers: balancing, retries and ejection are Envoy's there as
everywhere. Replies, metadata and trailers pass through unchanged.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import TypeAlias

import grpc
import grpc.aio

from argosy.v1.model_pb2 import GetModelRequest
from argosy.v1.model_pb2_grpc import ModelServiceStub
from inference.grpc_service_pb2 import ModelReadyResponse
from services.router.calls import RpcHandler, failures_told
from services.router.channels import Channels
from services.router.fleet import Fleet
from services.router.methods import ModelMethod, own_method
from services.router.metrics import RouterMetrics
from services.router.placement import RETRY_AFTER_S, place
from services.router.sequences import sequence_header
from services.router.xds_types import FORWARDED_HEADER, MODEL_HEADER, SEQUENCE_HEADER, VERSION_HEADER
from services.runtime.errors import Cause, ServingError, invalid_input, shown, unavailable
from services.runtime.messages import parse
from services.runtime.rpc_errors import Context

Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]
Onward: TypeAlias = "grpc.aio.StreamStreamMultiCallable[bytes, bytes]"

_MODEL_READY = "/inference.GRPCInferenceService/ModelReady"
_GET_MODEL = "/argosy.v1.ModelService/GetModel"
# What belongs to the connection or is set anew, not to the call.
_OWN_HEADERS = frozenset((MODEL_HEADER, VERSION_HEADER, FORWARDED_HEADER, "content-type", "te", "user-agent", "host"))


class Forwarder:
    """Takes the methods that are routed by model."""

    def __init__(
        self,
        fleet: Fleet,
        services: Mapping[str, object],
        inner: grpc.aio.Channel,
        channels: Channels,
        metrics: RouterMetrics,
    ) -> None:
        self._fleet = fleet
        self._services = services
        self._inner = inner
        self._channels = channels
        self._metrics = metrics

    def own_handler(self, path: str) -> "RpcHandler | None":
        """What takes a method that a model has for itself; None for any other path."""
        method = own_method(path)
        return None if method is None else self.handler(method)

    def handler(self, method: ModelMethod) -> RpcHandler:
        """Unary calls are streams of one message each way."""

        async def handle(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
            async with failures_told(context):
                try:
                    async for reply in self._answer(method, requests, context):
                        yield reply
                except ServingError as error:
                    self._metrics.fallback_requests.labels(error.reason.lower()).inc()
                    raise
                except grpc.aio.AioRpcError as error:
                    context.set_code(error.code())
                    context.set_details(error.details() or "")
                    context.set_trailing_metadata(tuple(error.trailing_metadata()))

        return grpc.stream_stream_rpc_method_handler(handle)

    async def _answer(
        self, method: ModelMethod, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        first = await anext(requests, None)
        if first is None:
            raise invalid_input("the call has no message", reason="NO_MESSAGE")
        model, version = method.addressee(parse(method.request, first))
        metadata = _metadata(context)
        try:
            chosen = self._check(metadata, model, version)
        except ServingError as error:
            yield await self._answer_for_unready(method, first, error, model, version)
            return
        self._metrics.fallback_requests.labels("forwarded").inc()
        if (model, chosen) in self._fleet.inventory.stateful_versions() and not dict(metadata).get(SEQUENCE_HEADER):
            others = (pair for pair in metadata if pair[0] != SEQUENCE_HEADER)  # empty ones
            metadata = (*others, (SEQUENCE_HEADER, sequence_header(method, first)))
        onward: Onward = self._inner.stream_stream(method.path)
        call = onward(
            _again(first, requests), timeout=context.time_remaining(), metadata=_routed(metadata, model, version)
        )
        try:
            await context.send_initial_metadata(_passed_on(await call.initial_metadata()))
            async for reply in call:
                yield reply
            context.set_trailing_metadata(tuple(await call.trailing_metadata()))
        finally:
            call.cancel()  # where the caller has gone; to a call that has ended it does nothing

    def _check(self, metadata: Metadata, model: str, version: str) -> str:
        """The version that answers. Raises what the caller is told instead of an answer."""
        header = dict(metadata).get(MODEL_HEADER, "")
        if header not in ("", model):
            raise invalid_input(
                f"the header {MODEL_HEADER} says '{shown(str(header))}', the message '{shown(model)}'",
                field="model",
                reason="MODEL_MISMATCH",
            )
        chosen = place(self._fleet.inventory, self._services, model, version)
        if any(name == FORWARDED_HEADER for name, _ in metadata):
            # The inventory is ahead of Envoy: it was sent there and came back.
            raise unavailable("NO_READY_ENDPOINT", "no endpoint is ready for the model: try again", RETRY_AFTER_S)
        return chosen

    async def _answer_for_unready(
        self, method: ModelMethod, first: bytes, error: ServingError, model: str, version: str
    ) -> bytes:
        """What can be said of a model that is not ready; raises `error` where that is all."""
        if method.path == _MODEL_READY and error.cause in (Cause.NOT_FOUND, Cause.UNAVAILABLE):
            return ModelReadyResponse(ready=False).SerializeToString()
        if method.path == _GET_MODEL and error.reason != "MODEL_MISMATCH":
            up = (endpoint for endpoint, _ in self._fleet.inventory.reported(model, version) if endpoint.up)
            for address in dict.fromkeys(endpoint.address for endpoint in up):
                stub = ModelServiceStub(self._channels.to(address))
                with suppress(grpc.aio.AioRpcError):  # the next one may know
                    reply = await stub.GetModel(parse(GetModelRequest, first), timeout=5)
                    return bytes(reply.SerializeToString())
        raise error


def _metadata(context: Context) -> Metadata:
    return tuple((name, value) for name, value in context.invocation_metadata() or ())


def _routed(metadata: Metadata, model: str, version: str) -> Metadata:
    """The caller's own metadata, and where the call goes."""
    own = tuple(
        (name, value)
        for name, value in metadata
        if name not in _OWN_HEADERS and not name.startswith((":", "grpc-", "x-envoy-"))
    )
    wanted = ((MODEL_HEADER, model), (VERSION_HEADER, version), (FORWARDED_HEADER, "1"))
    return own + tuple((name, value) for name, value in wanted if value)


def _passed_on(metadata: grpc.aio.Metadata | None) -> Metadata:
    return tuple((name, value) for name, value in metadata or () if name not in _OWN_HEADERS | {"date"})


async def _again(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for message in rest:
        yield message
