"""The portable front: the interface of `front.py` on grpcio, wherever pip runs.

It is the readable statement of what a front does. One thread runs an event loop with all of gRPC in it; requests are
checked and admitted there (`portable_predictions.py`), wait in queues (`portable_queue.py`), workers take batches on
threads of their own (`portable_batch.py`), and the answers of a batch come back to the loop with one wake. It
deliberately has no tuning: the native front is the fast one.

Three refusals are grpcio's own, made before any Python runs, and so without ErrorInfo: RESOURCE_EXHAUSTED for a message
that is more than 64 KiB over the limit, packed or unpacked, and for metadata that is so far over its own, and mostly
DEADLINE_EXCEEDED for a call whose deadline has passed.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TypeVar

import grpc
from grpc import aio

from services.runtime.errors import ServingError, unknown_method
from services.runtime.front import Limits, QueueSpec, Tls, TypedRoute, UnaryAnswer
from services.runtime.front_stats import FrontStats
from services.runtime.portable_batch import Answer, Pending
from services.runtime.portable_calls import Calls, MethodHandler
from services.runtime.portable_predictions import Predictions
from services.runtime.portable_queue import PortableQueue
from services.runtime.portable_refusals import AsyncAnswer, Refusals, outcome
from services.runtime.portable_stream import MODEL_STREAM_INFER, InferStreams
from services.runtime.portable_table import QueueTable
from services.runtime.portable_watch import (
    HEALTH_CHECK,
    HEALTH_WATCH,
    AnswerEach,
    Health,
    RareMethods,
    Watch,
)
from services.runtime.rpc_errors import Context

Result = TypeVar("Result")
# How far above its limit a message, or metadata, may be and still get our error: grpcio's own has no details.
_LIMIT_SLACK_BYTES = 64 * 1024


class PortableFront:
    """A gRPC server in this process; see `front.Front`.

    `typed_routes` are the typed methods of the whole service. Raises OSError where the address cannot be bound.
    """

    def __init__(
        self,
        address: str,
        typed_routes: Sequence[TypedRoute],
        *,
        limits: Limits | None = None,
        tls: Tls | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits = limits or Limits()
        self._clock = clock
        self._table, self._refusals, self._health = QueueTable(), Refusals(), Health()
        self._calls = Calls(limits.max_metadata_bytes, self._refusals)
        self._predictions = Predictions(typed_routes, self._table, limits, self._refusals, clock)
        self._streams = InferStreams(self._predictions, self._refusals, limits.max_message_bytes)
        self._rare = RareMethods(limits)
        self._health_watch = Watch(self._health.watch, self._refusals)
        self._streams_of_rare: list[Watch | AnswerEach] = [self._health_watch]
        self._methods = self._own_methods()
        self._ending, self._ended = threading.Lock(), False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="front", daemon=True)
        self._thread.start()
        try:
            self._address = self._run(self._start(address, tls, limits))
        except BaseException:
            self._stop_threads()
            raise

    @property
    def address(self) -> str:
        return self._address

    def open_queue(self, spec: QueueSpec) -> PortableQueue:
        queue = PortableQueue(spec, self._clock, self._deliver, self._limits.max_message_bytes)
        self._table.open(queue)
        return queue

    def close_queue(self, model: str, version: str) -> None:
        self._table.close(model, version)

    def set_default_version(self, model: str, version: str | None) -> None:
        self._table.set_default_version(model, version)

    def set_unready(self, model: str, version: str, error: ServingError | None) -> None:
        self._table.set_unready(model, version, error)

    def set_serving(self, name: str, serving: bool) -> None:
        self._health.set_serving(name, serving)
        self._loop.call_soon_threadsafe(self._health_watch.notify)

    def answer_unary(self, method: str, answer: UnaryAnswer) -> None:
        self._methods[method] = self._unary(partial(self._rare.answer, answer))

    def answer_stream(self, method: str, answer: UnaryAnswer) -> None:
        each = AnswerEach(partial(self._rare.answer, answer), self._refusals)
        self._streams_of_rare.append(each)
        self._methods[method] = self._calls.stream(each.answer)

    def answer_watch(self, method: str, answer: UnaryAnswer) -> Callable[[], None]:
        watch = Watch(partial(self._rare.answer, answer), self._refusals)
        self._streams_of_rare.append(watch)
        self._methods[method] = self._calls.watch(watch.answer)
        return lambda: self._call_soon(watch.notify)

    def stats(self) -> FrontStats:
        return FrontStats(tuple(queue.stats() for queue in self._table.queues()), self._refusals.by_reason())

    def drain(self, grace_s: float, notice_s: float) -> None:
        with self._ending:
            if self._ended:
                return
            self._run(self._drain(grace_s, notice_s))
            for queue in self._table.queues():
                self._table.close(queue.spec.model, queue.spec.version)
            self._stop_threads()
            self._ended = True

    # ---- the server

    def _own_methods(self) -> dict[str, MethodHandler]:
        methods = {method: self._prediction(method) for method in self._predictions.methods}
        methods[MODEL_STREAM_INFER] = self._calls.stream(self._streams.answer)
        methods[HEALTH_CHECK] = self._unary(self._health.check)
        methods[HEALTH_WATCH] = self._calls.watch(self._health_watch.answer)
        return methods

    def _prediction(self, method: str) -> MethodHandler:
        return self._calls.unary(partial(self._predictions.answer, method))

    def _handler(self, method: str) -> MethodHandler:
        if (known := self._methods.get(method)) is not None:
            return known
        return self._prediction(method) if self._predictions.is_open(method) else self._unknown(method)

    def _unknown(self, method: str) -> MethodHandler:
        async def refuse(_: object, context: Context) -> None:
            await self._refusals.abort(context, unknown_method(method))

        return self._calls.stream(refuse)

    def _unary(self, answer: AsyncAnswer) -> MethodHandler:
        async def answer_or_abort(message: bytes, context: Context) -> bytes:
            answered = await outcome(answer, message)
            if isinstance(answered, ServingError):
                del message
                return await self._refusals.abort(context, answered)
            return answered

        return self._calls.unary(answer_or_abort)

    async def _start(self, address: str, tls: Tls | None, limits: Limits) -> str:
        self._server = aio.server(options=_options(limits))
        self._server.add_generic_rpc_handlers((_Methods(self._handler),))
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

    # ---- the loop and the end

    def _deliver(self, answers: Sequence[tuple[Pending, Answer]]) -> None:
        self._call_soon(partial(_settle, answers))

    def _call_soon(self, callback: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(callback)

    def _run(self, coroutine: Coroutine[object, object, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _drain(self, grace_s: float, notice_s: float) -> None:
        self._health.drain()
        self._health_watch.notify()
        await asyncio.sleep(notice_s)
        stopping = asyncio.create_task(self._server.stop(grace_s))  # GOAWAY goes out now
        # Streams that never end by themselves are ended; all else is finished.
        self._streams.drain()
        for rare in self._streams_of_rare:
            rare.end()
        await stopping

    def _stop_threads(self) -> None:
        self._predictions.close()
        self._rare.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=1.0)


class _Methods(grpc.GenericRpcHandler):
    """Every method by its name; messages stay bytes."""

    def __init__(self, handler: Callable[[str], MethodHandler]) -> None:
        self._handler = handler

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> MethodHandler:
        return self._handler(handler_call_details.method)


def _settle(answers: Sequence[tuple[Pending, Answer]]) -> None:
    for request, answer in answers:
        if not request.answer.done():
            request.answer.set_result(answer)


def _options(limits: Limits) -> list[tuple[str, int]]:
    # https://grpc.github.io/grpc/core/group__grpc__arg__keys.html
    return [
        ("grpc.max_receive_message_length", limits.max_message_bytes + _LIMIT_SLACK_BYTES),
        ("grpc.max_send_message_length", limits.max_message_bytes + _LIMIT_SLACK_BYTES),
        # The same twice: between two different limits grpcio refuses at random.
        ("grpc.max_metadata_size", limits.max_metadata_bytes + _LIMIT_SLACK_BYTES),
        ("grpc.absolute_max_metadata_size", limits.max_metadata_bytes + _LIMIT_SLACK_BYTES),
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
