"""Envoy's admin interface on its Unix socket: what it has bound, what is in flight, its statistics, its draining."""

import asyncio
import http.client
import json
import socket
from pathlib import Path

from services.runtime.addresses import join_address

_TIMEOUT_S = 5.0


class EnvoyError(Exception):
    """Envoy does not answer, or not as it should."""


class EnvoyAdmin:
    """Questions to one Envoy. Every method raises EnvoyError where there is no answer."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def bound_address(self, listener: str) -> str:
        """host:port that `listener` has bound."""
        statuses = json.loads(await self._ask("GET", "/listeners?format=json")).get("listener_statuses", [])
        for status in statuses:
            if status["name"] == listener:
                bound = status["local_address"]["socket_address"]
                return join_address(bound["address"], bound["port_value"])
        raise EnvoyError("Envoy could not bind the address")

    async def active_requests(self, stat_prefix: str) -> int:
        """Requests that callers wait for."""
        name = f"http.{stat_prefix}.downstream_rq_active"
        for line in (await self._ask("GET", f"/stats?filter=^{name}$")).splitlines():
            key, _, value = line.partition(": ")
            if key == name:
                return int(value)
        return 0

    async def prometheus(self) -> str:
        """All statistics that were ever used, in Prometheus' text format."""
        return await self._ask("GET", "/stats/prometheus?usedonly")

    async def drain_listeners(self) -> None:
        """Ask callers to connect anew, elsewhere; what is in flight goes on."""
        await self._ask("POST", "/drain_listeners?graceful&skip_exit")

    async def _ask(self, method: str, target: str) -> str:
        try:
            return await asyncio.to_thread(self._ask_blocking, method, target)
        except (OSError, http.client.HTTPException) as error:
            raise EnvoyError(f"Envoy's admin socket does not answer: {type(error).__name__}") from error

    def _ask_blocking(self, method: str, target: str) -> str:
        connection = _UnixConnection(self._path)
        try:
            connection.request(method, target)
            response = connection.getresponse()
            body = response.read().decode()
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise EnvoyError(f"Envoy answers {target} with {response.status}")
        return body


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("envoy", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_S)
        self.sock.connect(str(self._path))
