"""A running router: its parts, the order in which they come up, and the order in which they end.

First the brain's servers, so that Envoy finds its control plane; then Envoy and the watchers. The router serves once
Envoy has answered a whole snapshot, with or without models in it, and has bound the address: a listener that it rejects
shows there. At the end callers are told first, what is in flight finishes, and Envoy goes before the servers that it
talks to.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import grpc.aio
import structlog

from services.router.admin import EnvoyAdmin, EnvoyError
from services.router.ads import AdsServicer
from services.router.bootstrap import bootstrap_json
from services.router.brain import Handlers, brain_server
from services.router.channels import OPTIONS, SERVER_OPTIONS, Channels
from services.router.config import FleetConfig
from services.router.envoy import Envoy, EnvoyProgram, envoy_command
from services.router.fan_out import FanOut
from services.router.fleet import Fleet
from services.router.forward import Forwarder
from services.router.health import Health
from services.router.http_server import HttpServer
from services.router.listener import PUBLIC
from services.router.methods import model_methods
from services.router.metrics import RouterMetrics
from services.router.model_service import FleetModels
from services.router.reflection import FleetReflection
from services.router.server_wide import ServerWide
from services.router.snapshot import Sockets, snapshot
from services.router.watch import ServiceWatch
from services.runtime.logs import Log

_log = structlog.get_logger(__name__)

# How long callers are told to go elsewhere before the end, even if nothing is in flight.
_NOTICE_S = 1.0
_ASK_AGAIN_S = 0.05
_ENVOY_END_S = 1.0

Announce = Callable[[str, str], None]


class Router:
    """One router. `folder` holds its sockets and Envoy's bootstrap; of `log` it tells what could not be written."""

    def __init__(self, config: FleetConfig, folder: Path, program: EnvoyProgram, log: Log) -> None:
        self._config = config
        self._max_heap_bytes = program.max_heap_bytes
        self._sockets = Sockets(config.address, str(folder / "inner.sock"), str(folder / "brain.sock"))
        self._ads_path = folder / "ads.sock"
        self._bootstrap_path = folder / "envoy.json"
        self._fleet = Fleet()
        self._metrics = RouterMetrics()
        self._metrics.registry.register(log)
        self._channels = Channels()
        # Otherwise the authority is the socket's path, escaped, which strict servers refuse: Envoy passes it on.
        options = (*OPTIONS, ("grpc.default_authority", "argosy"))
        self._inner = grpc.aio.insecure_channel(f"unix:{self._sockets.inner_path}", options=options)
        self._settled = asyncio.Event()
        self._bound_address = config.address
        first = snapshot(self._sockets, self._fleet.inventory)
        self._ads = AdsServicer(first, self._metrics, self._on_settled)
        self._admin_path = folder / "admin.sock"
        command = envoy_command(program, self._bootstrap_path, drain_s=int(config.grace_s) + 1)
        self._envoy = Envoy(command, self._on_envoy_exit)
        self._admin = EnvoyAdmin(self._admin_path)
        self._http = HttpServer(self._metrics.registry, self._envoy_stats)

    async def run(self, stop: asyncio.Event, announce: Announce) -> None:
        """Serve until `stop` is set; `announce` gets the two addresses once both answer.

        Raises OSError or EnvoyError where an address cannot be had.
        """
        ads_server = grpc.aio.server(options=SERVER_OPTIONS)
        self._ads.add_to(ads_server)
        ads_server.add_insecure_port(f"unix:{self._ads_path}")
        forwarder = self._forwarder()
        brain = brain_server(
            self._sockets.brain_path,
            self._handlers(forwarder),
            forwarder.own_handler,
        )
        bootstrap = bootstrap_json(str(self._ads_path), str(self._admin_path), self._max_heap_bytes)
        self._bootstrap_path.write_text(bootstrap, encoding="utf-8")
        metrics_address = await self._http.start(self._config.metrics_address)
        await ads_server.start()
        await brain.start()
        try:
            await self._run_background(stop, metrics_address, announce)
        finally:
            await brain.stop(0)
            await ads_server.stop(0)
            await self._inner.close()
            await self._channels.close()
            await self._http.stop()

    async def _run_background(self, stop: asyncio.Event, metrics_address: str, announce: Announce) -> None:
        watches = [
            ServiceWatch(name, self._fleet, self._channels).follow(where, self._config.resolve_interval_s)
            for name, where in self._config.services.items()
        ]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in (self._envoy.supervise(), self._publish(), *watches)]
            try:
                await self._settled.wait()
                self._bound_address = await self._admin.bound_address(PUBLIC)
                announce(self._bound_address, metrics_address)
                await stop.wait()
                await self._drain()
            finally:
                for task in tasks:
                    task.cancel()
                await self._envoy.end(_ENVOY_END_S)

    async def _publish(self) -> None:
        """Every change of the inventory becomes Envoy's configuration."""
        async for inventory in self._fleet.changes():
            self._ads.publish(snapshot(self._sockets, inventory))
            self._metrics.show(inventory)
        await asyncio.Event().wait()

    async def _drain(self) -> None:
        """Tell the callers, then wait for what is in flight, both within the grace."""
        _log.info("draining", grace_s=self._config.grace_s)
        clock = asyncio.get_running_loop().time
        notice_until = clock() + min(_NOTICE_S, self._config.grace_s / 2)
        give_up_at = clock() + self._config.grace_s - _ENVOY_END_S
        self._fleet.drain()
        try:
            await self._admin.drain_listeners()
            # Envoy tells how many requests are in flight only to who asks.
            while clock() < notice_until or (clock() < give_up_at and await self._admin.active_requests(PUBLIC)):
                await asyncio.sleep(_ASK_AGAIN_S)
        except EnvoyError as error:
            _log.warning("envoy cannot be drained", error=str(error))

    def _forwarder(self) -> Forwarder:
        return Forwarder(self._fleet, self._config.services, self._inner, self._channels, self._metrics)

    def _handlers(self, forwarder: Forwarder) -> Handlers:
        services = self._config.services
        return {
            **{path: forwarder.handler(method) for path, method in model_methods().items()},
            **ServerWide(self._fleet, services).handlers(),
            **FanOut(self._fleet, self._channels, services).handlers(),
            **FleetModels(self._fleet).handlers(),
            **Health(self._fleet).handlers(),
            **(FleetReflection(self._fleet, self._channels).handlers() if self._config.reflection else {}),
        }

    def _on_settled(self) -> None:
        self._settled.set()
        self._fleet.set_serving(True)

    def _on_envoy_exit(self) -> None:
        self._metrics.envoy_exits.inc()
        # The next one takes the port that this one had, where it was free to choose.
        self._sockets = replace(self._sockets, public_address=self._bound_address)
        self._fleet.set_serving(False)

    async def _envoy_stats(self) -> str:
        try:
            return await self._admin.prometheus()
        except EnvoyError:
            return ""
