"""The portable front: the interface of `front.py` on grpcio, wherever pip runs.

It is the readable statement of what a front does. One thread runs an event loop with all of gRPC in it; requests are
checked and admitted there, workers take batches on threads of their own, and the answers of a batch come back to the
loop with one wake. It deliberately has no cache, no priorities and no tuning: the native front is the fast one.
"""

from __future__ import annotations  # gRPC's types take arguments in their stubs alone

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import NoReturn, TypeAlias, TypeVar

import grpc
from google.protobuf.message import DecodeError
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection

from inference.grpc_service_pb2 import ModelInferRequest, ModelInferResponse, ModelStreamInferResponse
from services.runtime.errors import ServingError, empty_request, exhausted, invalid_input, shown, unknown_model
from services.runtime.front import FrontStats, Limits, QueueSpec, Tls, TypedRoute, UnaryAnswer
from services.runtime.portable_queue import Answer, Pending, PortableQueue
from services.runtime.status import DETAILS_TRAILER, bounded_message, grpc_code, status_details
from services.runtime.tensors import MODEL_INFER_REQUEST, parse_infer
from services.runtime.wire import Envelope, read_envelope

Context: TypeAlias = aio.ServicerContext[bytes, bytes]
Trailers: TypeAlias = tuple[tuple[str, str], ...]
Result = TypeVar("Result")

MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"
MODEL_STREAM_INFER = "/inference.GRPCInferenceService/ModelStreamInfer"

# Requests of one stream that may be under way at once: beyond that the stream is read no further.
_STREAM_WINDOW = 64

# How far above the limit a message may be and still get our error rather than grpcio's own, which has no details.
_LIMIT_SLACK_BYTES = 64 * 1024

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class PortableFront:
    """A gRPC server in this process; see `front.Front`.

    `typed_routes` are the typed methods of the whole service; `reflection_names` the full service names that
    reflection tells, none where it is off. Raises OSError where the address cannot be bound.
    """

    def __init__(
        self,
        address: str,
        typed_routes: Sequence[TypedRoute],
        *,
        limits: Limits | None = None,
        tls: Tls | None = None,
        reflection_names: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits or Limits()
        self._clock = clock
        self._routes = {route.method: route for route in typed_routes}
        self._queues: dict[tuple[str, str], PortableQueue] = {}
        self._defaults: dict[str, str] = {}
        self._unready: dict[tuple[str, str], ServingError] = {}
        self._refusals: Counter[str] = Counter()
        self._unary: dict[str, UnaryAnswer] = {}
        self._watches: dict[str, _Watch] = {}
        self._control = ThreadPoolExecutor(max_workers=32, thread_name_prefix="control")
        self._in_flight = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="front", daemon=True)
        self._thread.start()
        self._address = self._run(self._start(address, tls, tuple(reflection_names)))

    @property
    def address(self) -> str:
        return self._address

    def open_queue(self, spec: QueueSpec) -> PortableQueue:
        queue = PortableQueue(spec, self._clock, self._deliver)
        before = self._queues.get((spec.model, spec.version))
        self._queues[spec.model, spec.version] = queue
        if before is not None:
            before.close()
        return queue

    def close_queue(self, model: str, version: str) -> None:
        queue = self._queues.pop((model, version), None)
        if queue is not None:
            queue.close()

    def set_default_version(self, model: str, version: str | None) -> None:
        if version is None:
            self._defaults.pop(model, None)
        else:
            self._defaults[model] = version

    def set_unready(self, model: str, version: str, error: ServingError | None) -> None:
        if error is None:
            self._unready.pop((model, version), None)
        else:
            self._unready[model, version] = error

    def set_serving(self, name: str, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse
        self._run(self._health.set(name, status.SERVING if serving else status.NOT_SERVING))

    def answer_unary(self, method: str, answer: UnaryAnswer) -> None:
        self._unary[method] = answer

    def answer_watch(self, method: str, answer: UnaryAnswer) -> Callable[[], None]:
        watch = self._watches[method] = _Watch(answer)
        return lambda: self._call_soon(watch.notify)

    def stats(self) -> FrontStats:
        return FrontStats(tuple(queue.stats() for queue in list(self._queues.values())), dict(self._refusals))

    def drain(self, grace_s: float, notice_s: float) -> None:
        self._run(self._drain(grace_s, notice_s))
        for model, version in list(self._queues):
            self.close_queue(model, version)
        self._control.shutdown(wait=False, cancel_futures=True)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=1.0)

    # ---- the server

    async def _start(self, address: str, tls: Tls | None, reflection_names: tuple[str, ...]) -> str:
        self._idle = asyncio.Event()
        self._idle.set()
        self._health = health.HealthServicer()
        await self._health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
        self._server = aio.server(options=_options(self._limits))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if reflection_names:
            reflection.enable_server_reflection((*reflection_names, reflection.SERVICE_NAME), self._server)
        self._server.add_generic_rpc_handlers((_Methods(self._find),))
        try:
            port = self._bind(address, tls)
        except RuntimeError:
            raise OSError(f"cannot listen on {address}: is another process there?") from None
        await self._server.start()
        return f"{address.rpartition(':')[0]}:{port}" if not address.startswith("unix:") else address

    def _bind(self, address: str, tls: Tls | None) -> int:
        if tls is None:
            return self._server.add_insecure_port(address)
        return self._server.add_secure_port(address, _credentials(tls))

    def _find(self, method: str) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        if method == MODEL_INFER or method in self._routes:
            return grpc.unary_unary_rpc_method_handler(partial(self._answer, method))
        if method == MODEL_STREAM_INFER:
            return grpc.stream_stream_rpc_method_handler(self._answer_infer_stream)
        if method in self._unary:
            return grpc.unary_unary_rpc_method_handler(partial(self._answer_rare, self._unary[method]))
        if method in self._watches:
            return grpc.unary_stream_rpc_method_handler(partial(self._answer_watch, self._watches[method]))
        return None

    # ---- a request's way through the front

    async def _answer(self, method: str, message: bytes, context: Context) -> bytes:
        try:
            with self._counted():
                queue, answer = await self._predict(method, message, context)
        except ServingError as error:
            return await self._abort(context, error)
        trailers = self._trailers(queue, answer)
        if isinstance(answer.outcome, ServingError):
            return await self._abort(context, answer.outcome, trailers)
        context.set_trailing_metadata(trailers)
        return answer.outcome

    async def _predict(self, method: str, message: bytes, context: Context) -> tuple[PortableQueue, Answer]:
        """Check, admit and wait. Raises ServingError where the request was not admitted."""
        queue, envelope = self._place(method, message, context)
        request = Pending(
            method=method,
            message=message,
            rows=envelope.row_count,
            arrived=self._clock(),
            deadline=self._deadline(context),
            answer=self._loop.create_future(),
        )
        if method == MODEL_INFER:
            request.call = parse_infer(message, queue.spec.signature)
            request.rows = request.call.row_count
        queue.admit(request)
        try:
            return queue, await request.answer
        except asyncio.CancelledError:
            queue.withdraw(request)
            raise

    def _place(self, method: str, message: bytes, context: Context) -> tuple[PortableQueue, Envelope]:
        """The queue that a request belongs into."""
        route = self._routes.get(method)
        message_name = MODEL_INFER_REQUEST if route is None else _request_name(method)
        self._check_size(message)
        envelope = read_envelope(message, route.rows_field if route else 0, message_name)
        queue = self._queue_of(envelope.model, self._checked_version(envelope, context))
        if route is not None:
            if route.method not in {own.method for own in queue.spec.routes}:
                raise _not_offered(queue.spec, method)
            if envelope.row_count == 0:
                raise empty_request(route.rows_name)
        return queue, envelope

    def _check_size(self, message: bytes) -> None:
        if len(message) > (limit := self._limits.max_message_bytes):
            raise exhausted("MESSAGE_TOO_LARGE", f"a message of at most {limit} bytes is taken, got {len(message)}")

    def _checked_version(self, envelope: Envelope, context: Context) -> str:
        """The version asked for. A router sends and authorises by its own reading of the message, which it states in
        headers: it must have read what we read. For a message that names no version the router may choose one.
        """
        model, version = _routed(context)
        if model and model != envelope.model:
            raise _mismatch("argosy-model", model, envelope.model)
        if version and envelope.version and version != envelope.version:
            raise _mismatch("argosy-version", version, envelope.version)
        return envelope.version or version

    def _queue_of(self, model: str, version: str) -> PortableQueue:
        if not model:
            raise invalid_input("model: a model's name is needed, got none", field="model")
        chosen = version or self._defaults.get(model, "")
        queue = self._queues.get((model, chosen))
        if queue is not None:
            return queue
        if (error := self._unready.get((model, chosen))) is not None:
            raise error
        known = any(name == model for name, _ in (*self._queues, *self._unready))
        raise unknown_model(model, version if known else "")

    def _deadline(self, context: Context) -> float | None:
        left_s = context.time_remaining()
        return None if left_s is None else self._clock() + left_s

    def _deliver(self, answers: Sequence[tuple[Pending, Answer]]) -> None:
        self._call_soon(partial(_settle, answers))

    def _trailers(self, queue: PortableQueue, answer: Answer) -> Trailers:
        return (
            ("argosy-queue-us", str(answer.queue_us)),
            ("argosy-compute-us", str(answer.compute_us)),
            ("argosy-batch-rows", str(answer.batch_rows)),
            ("argosy-model-version", queue.spec.version),
            ("argosy-device", queue.spec.device),
        )

    async def _abort(self, context: Context, error: ServingError, trailers: Trailers = ()) -> NoReturn:
        self._refusals[error.reason] += 1
        await context.abort(
            _CODES[grpc_code(error)],
            bounded_message(error),
            (*trailers, (DETAILS_TRAILER, status_details(error))),
        )

    # ---- streams and rare methods

    async def _answer_infer_stream(self, messages: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        """Answers in the order of the requests; a request's error is an answer and does not end the stream."""
        under_way: asyncio.Queue[asyncio.Task[bytes] | None] = asyncio.Queue(_STREAM_WINDOW)

        async def read() -> None:
            async for message in messages:
                await under_way.put(asyncio.create_task(self._stream_element(message, context)))
            await under_way.put(None)

        reader = asyncio.create_task(read())
        try:
            while (element := await under_way.get()) is not None:
                yield await element
        finally:
            reader.cancel()
            while not under_way.empty():
                if (element := under_way.get_nowait()) is not None:
                    element.cancel()

    async def _stream_element(self, message: bytes, context: Context) -> bytes:
        try:
            with self._counted():
                _, answer = await self._predict(MODEL_INFER, message, context)
            outcome = answer.outcome
        except ServingError as error:
            outcome = error
        if isinstance(outcome, ServingError):
            self._refusals[outcome.reason] += 1
            return _stream_error(message, outcome).SerializeToString()
        reply = ModelStreamInferResponse(infer_response=ModelInferResponse.FromString(outcome))
        return reply.SerializeToString()

    async def _answer_rare(self, answer: UnaryAnswer, message: bytes, context: Context) -> bytes:
        try:
            with self._counted():
                self._check_size(message)
                return await self._loop.run_in_executor(self._control, answer, message)
        except ServingError as error:
            return await self._abort(context, error)

    async def _answer_watch(self, watch: "_Watch", message: bytes, context: Context) -> AsyncIterator[bytes]:
        last: bytes | None = None
        try:
            while True:
                changed = watch.changed
                state = await self._loop.run_in_executor(self._control, watch.answer, message)
                if state != last:
                    yield state
                last = state
                await changed.wait()
        except ServingError as error:
            await self._abort(context, error)

    # ---- the loop and the end

    def _call_soon(self, callback: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    def _run(self, coroutine: Coroutine[object, object, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _drain(self, grace_s: float, notice_s: float) -> None:
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(notice_s)
        stopping = asyncio.create_task(self._server.stop(grace_s))  # GOAWAY goes out now
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), grace_s)
        # Only streams that never end by themselves are left, such as a health Watch: they do not hold up the end.
        await self._server.stop(0)
        await stopping

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """A request that a drain waits for."""
        self._in_flight += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._in_flight -= 1
            if self._in_flight == 0:
                self._idle.set()


class _Watch:
    """A method whose callers get the state now and after every change. Lives on the event loop."""

    def __init__(self, answer: UnaryAnswer) -> None:
        self.answer = answer
        self.changed = asyncio.Event()

    def notify(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class _Methods(grpc.GenericRpcHandler):
    """Every method by its name; messages stay bytes."""

    def __init__(self, find: Callable[[str], grpc.RpcMethodHandler[bytes, bytes] | None]) -> None:
        self._find = find

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        return self._find(handler_call_details.method)


def _settle(answers: Sequence[tuple[Pending, Answer]]) -> None:
    for request, answer in answers:
        if not request.answer.done():
            request.answer.set_result(answer)


def _routed(context: Context) -> tuple[str, str]:
    """What the headers say of the model and the version that the request was routed to; '' where they say nothing."""
    given = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    return given.get("argosy-model", ""), given.get("argosy-version", "")


def _mismatch(header: str, routed: str, own: str) -> ServingError:
    return invalid_input(
        f"the header {header} says '{shown(routed)}', the message says '{shown(own)}'", header, "MODEL_MISMATCH"
    )


def _options(limits: Limits) -> list[tuple[str, int]]:
    # https://grpc.github.io/grpc/core/group__grpc__arg__keys.html
    return [
        ("grpc.max_receive_message_length", limits.max_message_bytes + _LIMIT_SLACK_BYTES),
        ("grpc.max_send_message_length", limits.max_message_bytes),
        ("grpc.max_metadata_size", limits.max_metadata_bytes),
        ("grpc.absolute_max_metadata_size", limits.max_metadata_bytes),
        ("grpc.max_connection_age_ms", int(limits.max_connection_age_s * 1000)),
        ("grpc.keepalive_time_ms", int(limits.keepalive_interval_s * 1000)),
        ("grpc.keepalive_timeout_ms", int(limits.keepalive_timeout_s * 1000)),
        ("grpc.http2.ping_timeout_ms", int(limits.keepalive_timeout_s * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5000),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 5000),
        ("grpc.so_reuseport", 0),
    ]


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    pair = (tls.private_key.read_bytes(), tls.certificate.read_bytes())
    client_ca = tls.client_ca.read_bytes() if tls.client_ca is not None else None
    return grpc.ssl_server_credentials([pair], client_ca, require_client_auth=client_ca is not None)


def _request_name(method: str) -> str:
    """'/argosy.v1.TextService/Embed' -> 'argosy.v1.TextServiceEmbedRequest'."""
    service, _, name = method.removeprefix("/").partition("/")
    return f"{service}{name}Request"


def _not_offered(spec: QueueSpec, method: str) -> ServingError:
    offered = ", ".join(route.method.rpartition("/")[2] for route in spec.routes) or "ModelInfer alone"
    name = method.rpartition("/")[2]
    return invalid_input(
        f"model '{spec.model}' does not answer {name}; it answers {offered}", field="model", reason="TASK_NOT_OFFERED"
    )


def _stream_error(message: bytes, error: ServingError) -> ModelStreamInferResponse:
    response = ModelStreamInferResponse(error_message=bounded_message(error))
    try:
        request = ModelInferRequest.FromString(message)
    except DecodeError:
        return response
    response.infer_response.id = request.id
    response.infer_response.model_name = request.model_name
    response.infer_response.model_version = request.model_version
    return response
