"""A prediction's way through the portable front: read the message, find the queue, admit, wait, answer.

The event loop does all of it for ordinary messages; reading a large one takes a thread, so that the loop never stands
still. The message is read here as far as queueing needs it, and for ModelInfer, whose tensors make the batch, in full.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from services.runtime.errors import (
    ServingError,
    empty_request,
    invalid_input,
    shown,
    too_late,
    unavailable,
    without_frames,
)
from services.runtime.faults import foreseen
from services.runtime.front import MODEL_INFER, Limits, QueueSpec, TypedRoute
from services.runtime.portable_batch import Answer, Pending
from services.runtime.portable_cache import key_of
from services.runtime.portable_checks import check_parts, check_rows, check_size
from services.runtime.portable_parts import Outcome, answer_too_large
from services.runtime.portable_queue import PortableQueue
from services.runtime.portable_refusals import Refusals
from services.runtime.portable_room import Room
from services.runtime.portable_routing import Routing, routing_of
from services.runtime.portable_table import QueueTable
from services.runtime.rpc_errors import Context, Trailers
from services.runtime.tensors import MODEL_INFER_REQUEST, parse_infer
from services.runtime.wire import Envelope, read_envelope, request_name

# Above this a message is read on a thread. Reading 64 KiB takes the loop about as long as an RPC does.
_INLINE_BYTES = 64 * 1024


class Predictions:
    """Answers the typed methods and ModelInfer. Lives on the event loop."""

    def __init__(
        self,
        routes: Sequence[TypedRoute],
        table: QueueTable,
        limits: Limits,
        refusals: Refusals,
        clock: Callable[[], float],
    ) -> None:
        self._routes = {route.method: route for route in routes if not _is_open(route)}
        self._open_routes = [route for route in routes if _is_open(route)]
        self._table, self._limits, self._refusals, self._clock = table, limits, refusals, clock
        self._room = Room(limits.max_message_bytes)
        self._readers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="front-reader")

    @property
    def methods(self) -> tuple[str, ...]:
        return MODEL_INFER, *self._routes

    def is_open(self, method: str) -> bool:
        """Whether it is one that an open method stands for."""
        return self._open_route(method) is not None

    async def answer(self, method: str, message: bytes, context: Context) -> bytes:
        outcome, trailers = await self._outcome(method, message, context)
        if isinstance(outcome, ServingError):
            # grpcio keeps the abort, and with it this frame, until the garbage collector comes by.
            del message
            return await self._refusals.abort(context, outcome, trailers)
        context.set_trailing_metadata(trailers)
        return outcome

    async def _outcome(self, method: str, message: bytes, context: Context) -> tuple[Outcome, Trailers]:
        try:
            queue, answer = await self.predict(method, message, context, routing_of(context))
        except ServingError as error:
            return without_frames(error), ()
        return self.sendable(answer.outcome), _trailers(queue, answer)

    async def predict(
        self,
        method: str,
        message: bytes,
        context: Context,
        routing: Routing,
        queued: Callable[[], object] = lambda: None,
    ) -> tuple[PortableQueue, Answer]:
        """Check, admit, say so, and wait. Raises ServingError where the request was not admitted."""
        with foreseen("the front failed on a request"):
            try:
                async with self._room.held(len(message)):
                    queue, request = await self._admit(method, message, context, routing)
                    queued()
                    return queue, self._kept(queue, request, await _answer_to(queue, request))
            finally:
                queued()  # also where it is not

    def sendable(self, outcome: Outcome) -> Outcome:
        """The outcome, or the error in the place of an answer that is over the message limit."""
        limit = self._limits.max_message_bytes
        if isinstance(outcome, ServingError) or len(outcome) <= limit:
            return outcome
        return answer_too_large(limit, str(len(outcome)))

    def close(self) -> None:
        self._readers.shutdown(wait=False, cancel_futures=True)

    async def _admit(
        self, method: str, message: bytes, context: Context, routing: Routing
    ) -> tuple[PortableQueue, Pending]:
        arrived, deadline = self._clock(), self._deadline(context)
        for _ in range(3):  # a queue may be replaced between the look and the admission
            queue, request = await self._read(method, message, routing)
            request.arrived, request.deadline = arrived, deadline
            if self._hits(queue, request) or queue.admit(request):
                return queue, request
        raise unavailable("VERSION_CLOSED", f"model '{queue.spec.model}' version '{queue.spec.version}' is unloading")

    def _hits(self, queue: PortableQueue, request: Pending) -> bool:
        """Answer a request from the cache of its model-version: it waits behind nobody."""
        if queue.cache is None or request.key is None:
            return False
        found, now = queue.cache.find(request.key, request.call), self._clock()
        if found is None:
            return False
        if request.deadline is not None and request.deadline <= now:
            raise too_late()
        queue.cache.add_hit_time(int((now - request.arrived) * 1e6))
        request.answer.set_result(Answer(found, 0, 0, 0, "hit"))
        return True

    def _kept(self, queue: PortableQueue, request: Pending, answer: Answer) -> Answer:
        """Keep an answer that was missed in the cache of its model-version."""
        if queue.cache is None or request.key is None or answer.cache:
            return answer
        if isinstance(outcome := self.sendable(answer.outcome), bytes):
            queue.cache.keep(request.key, outcome, request.call)
        return replace(answer, cache="miss")

    async def _read(self, method: str, message: bytes, routing: Routing) -> tuple[PortableQueue, Pending]:
        loop = asyncio.get_running_loop()
        work = partial(self._placed, method, message, routing, loop.create_future())
        if len(message) <= _INLINE_BYTES:
            return work()
        return await loop.run_in_executor(self._readers, work)

    def _placed(
        self, method: str, message: bytes, routing: Routing, answer: asyncio.Future[Answer]
    ) -> tuple[PortableQueue, Pending]:
        """The request as a queue wants it, and the queue. Raises ServingError."""
        queue, envelope, route = self._place(method, message, routing)
        request = Pending(method, message, envelope.row_count, arrived=0.0, deadline=None, answer=answer)
        priority = 0
        if route is None:
            request.call = parse_infer(message, queue.spec.signature)
            routing.check_sequence(message)
            request.rows, priority = request.call.row_count, request.call.priority
        else:
            request.rows_field = route.rows_field
        request.level = queue.spec.policy.level(priority or routing.asked_priority())
        check_rows(request.rows, queue.spec, "inputs" if route is None else route.rows_name)
        if route is not None:
            check_parts(envelope, queue.spec, self._limits.max_message_bytes)
        if queue.cache is not None:
            request.key = key_of(method, message, request.call)
        return queue, request

    def _place(
        self, method: str, message: bytes, routing: Routing
    ) -> tuple[PortableQueue, Envelope, TypedRoute | None]:
        """The queue, what the message says, and the typed method as the queue's model has it; None: ModelInfer."""
        check_size(message, self._limits.max_message_bytes)
        asked = self._routes.get(method) or self._open_route(method)
        if asked is None:
            envelope = read_envelope(message, 0, MODEL_INFER_REQUEST)
            return self._table.find(envelope.model, routing.version_of(envelope)), envelope, None
        envelope = read_envelope(message, asked.rows_field, request_name(method))
        queue = self._table.find(envelope.model, routing.version_of(envelope))
        route = next((route for route in queue.spec.routes if route.method == method), None)
        if route is None:
            raise _not_offered(queue.spec, method)
        if envelope.row_count == 0:
            raise empty_request(route.rows_name)
        return queue, envelope, route

    def _open_route(self, method: str) -> TypedRoute | None:
        return next((route for route in self._open_routes if method.startswith(route.method.rstrip("*"))), None)

    def _deadline(self, context: Context) -> float | None:
        left_s: float | None = context.time_remaining()  # the stubs do not know of None: no deadline
        return None if left_s is None else self._clock() + left_s


async def _answer_to(queue: PortableQueue, request: Pending) -> Answer:
    try:
        answer = await request.answer
    except asyncio.CancelledError:
        queue.withdraw(request)
        raise
    if isinstance(answer.outcome, ServingError):
        queue.withdraw(request)  # other parts of it may still run
    return answer


def _trailers(queue: PortableQueue, answer: Answer) -> Trailers:
    return (
        ("argosy-queue-us", str(answer.queue_us)),
        ("argosy-compute-us", str(answer.compute_us)),
        ("argosy-batch-rows", str(answer.batch_rows)),
        ("argosy-model-version", queue.spec.version),
        ("argosy-device", queue.spec.device),
        *((("argosy-cache", answer.cache),) if answer.cache else ()),
    )


def _is_open(route: TypedRoute) -> bool:
    return route.method.endswith("*")


def _not_offered(spec: QueueSpec, method: str) -> ServingError:
    offered = ", ".join(dict.fromkeys(_called(route.method) for route in spec.routes)) or "ModelInfer alone"
    name = shown(_called(method))
    return invalid_input(
        f"model '{spec.model}' does not answer {name}; it answers {offered}", field="model", reason="TASK_NOT_OFFERED"
    )


def _called(method: str) -> str:
    """'/argosy.v1.TextService/Embed' -> 'TextService/Embed'."""
    return method.rpartition(".")[2]
