"""One call, for asyncio: as `calls.py`, with waiting instead of blocking."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from grpc import aio

from argosy_client.connection import Options, routed
from argosy_client.errors import ArgosyError, CancelledError, closed_fleet, error_of
from argosy_client.methods import Method, Request, Response, named_version
from argosy_client.replies import Reply, timing_of
from argosy_client.requests import OwnFailure
from argosy_client.retry import pause_before_retry
from argosy_client.trace import trace_injector


class AsyncCalls:
    """Calls over one channel, on its event loop. Cancelling a task cancels its call."""

    def __init__(self, channel: aio.Channel, options: Options) -> None:
        self._channel, self._options = channel, options
        self._inject = trace_injector()

    async def unary(
        self, method: Method[Request, Response], request: Request, model: str = "", timeout_s: float | None = None
    ) -> Reply[Response]:
        """One request, one reply. Raises ArgosyError."""
        start = self._channel.unary_unary(method.path, method.request.SerializeToString, method.response.FromString)
        begun = time.monotonic()
        deadline = begun + (self._options.timeout_s if timeout_s is None else timeout_s)
        refusals: list[ArgosyError] = []
        while True:
            metadata = self.metadata(model, named_version(request))
            try:
                with _closing_told():
                    call = start(request, timeout=deadline - time.monotonic(), metadata=metadata)
                    message = await call
            except aio.AioRpcError as failure:
                refusals.append(error_of_aio(failure))
                await _pause(refusals[-1], deadline)
                continue
            trailers = dict(await call.trailing_metadata())
            reply = Reply(message, timing_of(trailers, (time.monotonic() - begun) * 1e3), trailers, refusals)
            if self._options.on_reply is not None:
                self._options.on_reply(model, reply)
            return reply

    async def watch(
        self, method: Method[Request, Response], request: Request, model: str = ""
    ) -> AsyncIterator[Response]:
        """Answers until the caller stops or the fleet ends. Raises ArgosyError."""
        start = self._channel.unary_stream(method.path, method.request.SerializeToString, method.response.FromString)
        metadata = self.metadata(model, named_version(request))
        with _closing_told():
            call = start(request, metadata=metadata)
        try:
            with _closing_told():
                async for message in call:
                    yield message
        except aio.AioRpcError as failure:
            raise error_of_aio(failure) from None
        finally:
            call.cancel()

    async def exchange(
        self,
        method: Method[Request, Response],
        requests: AsyncIterator[Request],
        model: str,
        version: str,
        timeout_s: float,
    ) -> AsyncIterator[Response]:
        """A stream each way, all of it for one version. Raises ArgosyError, or what the requests raise."""
        start = self._channel.stream_stream(method.path, method.request.SerializeToString, method.response.FromString)
        own, metadata = OwnFailure(), self.metadata(model, version)
        with _closing_told():
            call = start(own.kept_async(requests), timeout=timeout_s, metadata=metadata)
        try:
            with _closing_told():
                async for message in call:
                    yield message
        except aio.AioRpcError as failure:
            if own.error is not None:
                raise own.error  # noqa: B904  as the caller's own code raised it
            raise error_of_aio(failure) from None
        except CancelledError as error:
            # So gRPC ends a call whose requests cannot be made, too.
            if own.error is not None:
                raise own.error  # noqa: B904  as above
            raise error from None
        finally:
            call.cancel()

    def metadata(self, model: str, version: str) -> aio.Metadata:
        headers = dict(self._options.metadata)
        self._inject(headers)
        return aio.Metadata(*routed(headers, model, version).items())


@contextmanager
def _closing_told() -> Iterator[None]:
    """A call after `close` is a wrong use to gRPC, and one that runs is cancelled then as if its task had been."""
    try:
        yield
    except aio.UsageError:
        raise closed_fleet() from None
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise closed_fleet() from None


def error_of_aio(failure: aio.AioRpcError) -> ArgosyError:
    """The typed exception of a failed call."""
    return error_of(failure.code(), failure.details() or "", dict(failure.trailing_metadata() or ()))


async def _pause(error: ArgosyError, deadline: float) -> None:
    pause_s = pause_before_retry(error, deadline - time.monotonic())
    if pause_s is None:
        raise error from None
    await asyncio.sleep(pause_s)
