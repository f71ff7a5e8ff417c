"""What the portable front answers beside predictions: rare methods, watched states, and grpc.health.v1.

A watched state is told when a caller comes and after every change, each time whole; what changed in between and back
is not told. grpcio's own health servicer is not used: it starts SERVING, one slow reader of its Watch stops every
later change, and an open Watch holds up a drain. https://github.com/grpc/grpc/blob/master/doc/health-checking.md
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from services.runtime.errors import Cause, ServingError, shown
from services.runtime.faults import foreseen
from services.runtime.front import Limits, UnaryAnswer
from services.runtime.messages import parse
from services.runtime.portable_checks import check_size
from services.runtime.portable_refusals import AsyncAnswer, Refusals, outcome
from services.runtime.rpc_errors import Context

HEALTH_CHECK = "/grpc.health.v1.Health/Check"
HEALTH_WATCH = "/grpc.health.v1.Health/Watch"


# Of a message that asks for a state: a watch keeps it for as long as it is open.
_ASKING_BYTES = 64 * 1024

# Answers of one method at one time: a load may block for minutes, and others shall not wait for it.
TURNS = 8
_THREADS = 256


class RareMethods:
    """Runs answers that may block on threads of their own. Lives on the event loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="rare-method")
        self._turns: defaultdict[UnaryAnswer, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(TURNS))

    async def answer(self, answer: UnaryAnswer, message: bytes) -> bytes:
        check_size(message, self._limits.max_message_bytes)
        turn, loop = self._turns[answer], asyncio.get_running_loop()
        await turn.acquire()
        working = self._threads.submit(_answered, answer, message)

        def ended(_: "Future[bytes]") -> None:
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(turn.release)

        working.add_done_callback(ended)  # not when its caller goes: the thread is taken until the end
        return await asyncio.wrap_future(working)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class Watch:
    """A method whose callers get the state now and after every change. Lives on the event loop."""

    def __init__(self, answer: AsyncAnswer, refusals: Refusals) -> None:
        self._answer, self._refusals = answer, refusals
        self._changed = asyncio.Event()
        self._ended = False

    def notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def end(self) -> None:
        """Tell every caller the last change, then end its stream."""
        self._ended = True
        self.notify()

    async def answer(self, message: bytes, context: Context) -> None:
        last: bytes | None = None
        ended = False
        while not ended:
            changed, ended = self._changed, self._ended
            state = await outcome(self._state, message)
            if isinstance(state, ServingError):
                del message
                await self._refusals.abort(context, state)
            if state != last:
                await context.write(state)
            last = state
            if not ended:
                await changed.wait()

    async def _state(self, message: bytes) -> bytes:
        check_size(message, _ASKING_BYTES)
        return await self._answer(message)


class AnswerEach:
    """A method that answers every message of a stream before it reads the next. Lives on the event loop."""

    def __init__(self, answer: AsyncAnswer, refusals: Refusals) -> None:
        self._answer, self._refusals = answer, refusals
        self._reading: set[asyncio.Future[bytes | None]] = set()
        self._ended = False

    def end(self) -> None:
        """Read no further, and end every stream."""
        self._ended = True
        for reading in self._reading:
            reading.cancel()

    async def answer(self, messages: AsyncIterator[bytes], context: Context) -> None:
        while (message := await self._next(messages)) is not None:
            reply = await outcome(self._answer, message)
            if isinstance(reply, ServingError):
                del message
                await self._refusals.abort(context, reply)
            await context.write(reply)

    async def _next(self, messages: AsyncIterator[bytes]) -> bytes | None:
        """None at the end: the caller's, or ours."""
        reading = asyncio.ensure_future(anext(messages, None))
        self._reading.add(reading)
        if self._ended:
            reading.cancel()
        try:
            return await reading
        except asyncio.CancelledError:
            if self._ended:
                return None
            raise
        finally:
            self._reading.discard(reading)


class Health:
    """grpc.health.v1 of the process, '', its services and its models. NOT_SERVING until told otherwise."""

    def __init__(self) -> None:
        self._serving: Mapping[str, bool] = {"": False}
        self._draining = False

    def set_serving(self, name: str, serving: bool) -> None:
        self._serving = {**self._serving, name: serving}

    def drain(self) -> None:
        """NOT_SERVING from now on, whatever is set."""
        self._draining = True

    async def check(self, message: bytes) -> bytes:
        """Raises ServingError (NOT_FOUND) for a name that was never set."""
        check_size(message, _ASKING_BYTES)
        name = parse(HealthCheckRequest, message).service
        if name not in self._serving:
            raise ServingError(Cause.NOT_FOUND, "UNKNOWN_SERVICE", f"no service or model '{shown(name)}'")
        return self._status(name)

    async def watch(self, message: bytes) -> bytes:
        return self._status(parse(HealthCheckRequest, message).service)

    def _status(self, name: str) -> bytes:
        if name not in self._serving:
            return HealthCheckResponse(status=HealthCheckResponse.SERVICE_UNKNOWN).SerializeToString()
        serving = self._serving[name] and not self._draining
        return HealthCheckResponse(
            status=HealthCheckResponse.SERVING if serving else HealthCheckResponse.NOT_SERVING
        ).SerializeToString()


def _answered(answer: UnaryAnswer, message: bytes) -> bytes:
    with foreseen("a rare method failed"):
        return answer(message)
