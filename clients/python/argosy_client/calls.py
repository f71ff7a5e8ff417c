"""One call, blocking: metadata, deadline, retries where the fleet asks for them, and errors by their reason."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import grpc

from argosy_client.connection import Options, routed
from argosy_client.errors import ArgosyError, closed_fleet, error_of
from argosy_client.methods import Method, Request, Response, named_version
from argosy_client.replies import Reply, timing_of
from argosy_client.requests import OwnFailure
from argosy_client.retry import pause_before_retry
from argosy_client.trace import trace_injector


class Calls:
    """Calls over one channel, from any thread."""

    def __init__(self, channel: grpc.Channel, options: Options) -> None:
        self._channel, self._options = channel, options
        self._inject = trace_injector()

    def unary(
        self, method: Method[Request, Response], request: Request, model: str = "", timeout_s: float | None = None
    ) -> Reply[Response]:
        """One request, one reply. Raises ArgosyError."""
        call = self._channel.unary_unary(method.path, method.request.SerializeToString, method.response.FromString)
        begun = time.monotonic()
        deadline = begun + (self._options.timeout_s if timeout_s is None else timeout_s)
        refusals: list[ArgosyError] = []
        while True:
            try:
                with _closing_told():
                    message, done = call.with_call(
                        request, deadline - time.monotonic(), self.metadata(model, named_version(request))
                    )
            except grpc.RpcError as failure:
                refusals.append(error_of_call(failure))
                self._pause(refusals[-1], deadline)
                continue
            trailers = texts(done.trailing_metadata())
            reply = Reply(message, timing_of(trailers, (time.monotonic() - begun) * 1e3), trailers, refusals)
            if self._options.on_reply is not None:
                self._options.on_reply(model, reply)
            return reply

    def stream(
        self,
        open_stream: Callable[[], Iterator[Response]],
    ) -> Iterator[Response]:
        """What a stream answers. Raises ArgosyError."""
        try:
            with _closing_told():
                answers = open_stream()
            yield from answers
        except grpc.RpcError as failure:
            raise error_of_call(failure) from None

    def watch(self, method: Method[Request, Response], request: Request, model: str = "") -> Iterator[Response]:
        """Answers until the caller closes the iterator or the fleet ends. Raises ArgosyError."""
        call = self._channel.unary_stream(method.path, method.request.SerializeToString, method.response.FromString)
        return self.stream(lambda: call(request, metadata=self.metadata(model, named_version(request))))

    def exchange(
        self, method: Method[Request, Response], requests: Iterable[Request], model: str, version: str, timeout_s: float
    ) -> Iterator[Response]:
        """A stream each way, all of it for one version. Raises ArgosyError, or what the requests raise."""
        call = self._channel.stream_stream(method.path, method.request.SerializeToString, method.response.FromString)
        own = OwnFailure()
        try:
            yield from self.stream(lambda: call(own.kept(requests), timeout_s, self.metadata(model, version)))
        except ArgosyError as error:
            if own.error is not None:
                raise own.error  # noqa: B904  as the caller's own code raised it
            raise error from None

    def metadata(self, model: str, version: str) -> tuple[tuple[str, str | bytes], ...]:
        """The caller's own, the trace's, and the headers that spare the router a look into the message."""
        headers = dict(self._options.metadata)
        self._inject(headers)
        return tuple(routed(headers, model, version).items())

    def _pause(self, error: ArgosyError, deadline: float) -> None:
        pause_s = pause_before_retry(error, deadline - time.monotonic())
        if pause_s is None:
            raise error from None
        time.sleep(pause_s)


@contextmanager
def _closing_told() -> Iterator[None]:
    """A call on a channel that is closed already: gRPC raises a bare ValueError."""
    try:
        yield
    except ValueError as error:
        if "closed" not in str(error).lower():
            raise
        raise closed_fleet() from None


def error_of_call(failure: grpc.RpcError) -> ArgosyError:
    """The typed exception of a failed call."""
    if not isinstance(failure, grpc.Call):
        return ArgosyError(grpc.StatusCode.UNKNOWN, str(failure))
    return error_of(failure.code(), failure.details() or "", texts(failure.trailing_metadata()))


def texts(metadata: "Iterable[tuple[str, str | bytes]] | None") -> Mapping[str, str | bytes]:
    return dict(metadata or ())
