"""The HTTP port: /metrics is the brain's own and Envoy's after it, /envoy Envoy's alone, /healthz a liveness probe."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from prometheus_client import CollectorRegistry, generate_latest

from services.runtime.addresses import join_address, split_address

_log = structlog.get_logger(__name__)

_TIMEOUT_S = 5.0
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class HttpServer:
    """GET of three paths, one request a connection. `envoy_stats` gives Envoy's in Prometheus' text format, or ''."""

    def __init__(self, registry: CollectorRegistry, envoy_stats: Callable[[], Awaitable[str]]) -> None:
        self._registry = registry
        self._envoy_stats = envoy_stats
        self._server: asyncio.Server | None = None

    async def start(self, address: str) -> str:
        """Listen; the address with the port that was given for 0. Raises OSError."""
        host, port = split_address(address)
        self._server = await asyncio.start_server(self._serve, host, port)
        bound_host, bound_port = self._server.sockets[0].getsockname()[:2]
        return join_address(bound_host, bound_port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readuntil(b"\r\n"), _TIMEOUT_S)
            await asyncio.wait_for(_skip_headers(reader), _TIMEOUT_S)
            method, _, rest = line.decode("latin-1").partition(" ")
            status, body = await self._answer(method, rest.partition(" ")[0].partition("?")[0])
            headers = f"Content-Type: {_TEXT}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
            writer.transport.set_write_buffer_limits(0)  # so that it is drained when all has been taken
            writer.write(f"HTTP/1.1 {status}\r\n{headers}\r\n".encode() + body)
            await asyncio.wait_for(writer.drain(), _TIMEOUT_S)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            _log.debug("an http request was dropped", error=type(error).__name__)
            writer.transport.abort()  # what was not taken is not waited for
        finally:
            writer.close()

    async def _answer(self, method: str, path: str) -> tuple[str, bytes]:
        if method != "GET":
            return "405 Method Not Allowed", b"only GET\n"
        match path:
            case "/metrics":
                return "200 OK", generate_latest(self._registry) + (await self._envoy_stats()).encode()
            case "/envoy":
                return "200 OK", (await self._envoy_stats()).encode()
            case "/healthz":
                return "200 OK", b"ok\n"
        return "404 Not Found", b"there is /metrics, /envoy and /healthz\n"


async def _skip_headers(reader: asyncio.StreamReader) -> None:
    while await reader.readuntil(b"\r\n") != b"\r\n":
        continue
