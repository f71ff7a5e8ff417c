"""The whole fleet on this machine: three services and the router, started in order, kept running, drained in reverse.

The services come first, because the router is told where they listen; the router goes first at the end, so that no
caller is routed to a service that is leaving. What a child logs is passed on; a child that dies is started again.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from argosy_cli.child import Child, Command
from argosy_cli.client import connect
from argosy_cli.errors import CliError
from argosy_cli.programs import ROUTER, Listening, router_command, service_command
from argosy_cli.readiness import ModelVersion, ready_versions, wait_until_ready, wait_until_serving
from argosy_cli.signals import Ending

_CALL_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """What to run and where."""

    services: Mapping[str, Listening]
    router: Listening
    models_dir: Path
    config: Path | None
    ready_timeout_s: float


@dataclass(frozen=True, slots=True)
class Report:
    """Whom to tell what happens."""

    line: Callable[[str, str], None]  # process, its log line
    restart: Callable[[str, int, float], None]  # process, exit code, pause in seconds


class LocalFleet:
    """The processes of a plan. Use `running`, which drains them whatever happens."""

    def __init__(self, plan: FleetPlan, report: Report) -> None:
        self._plan = plan
        self._report = report
        self._services = [self._service(name, listening) for name, listening in plan.services.items()]
        self._router: Child | None = None

    @property
    def children(self) -> list[Child]:
        """In the order in which they are drained."""
        return [*([self._router] if self._router is not None else []), *self._services]

    async def start(self, folder: Path) -> str:
        """Start everything; the router's address, once it answers for every model. Raises CliError."""
        try:
            async with asyncio.timeout(self._plan.ready_timeout_s):
                await asyncio.gather(*(child.start() for child in self._services))
                # A router that finds a service still loading would look again only some seconds later.
                await asyncio.gather(*(child.logged("loaded") for child in self._services))
                self._router = self._router_child(folder)
                router = await self._router.start()
                wanted = await asyncio.to_thread(_ready_models, [child.listening.address for child in self._services])
                await wait_until_serving(ROUTER, router.address)
                await wait_until_ready(ROUTER, router.address, wanted)
                return router.address
        except TimeoutError:
            raise CliError(f"the fleet was not ready within {self._plan.ready_timeout_s:g} s: see its log") from None

    async def keep_running(self) -> None:
        """Start again whatever dies. Runs until cancelled."""
        await asyncio.gather(*(child.keep_running() for child in self.children))

    async def drain(self) -> None:
        """The router first, then the services side by side."""
        if self._router is not None:
            await self._router.drain()
        await asyncio.gather(*(child.drain() for child in self._services))

    def kill(self) -> None:
        """End every process now."""
        for child in self.children:
            child.kill()

    def _service(self, name: str, listening: Listening) -> Child:
        plan = self._plan

        def command(at: Listening) -> list[str]:
            return service_command(
                name,
                address=at.address,
                metrics_address=at.metrics_address,
                models_dir=plan.models_dir,
                models=(),
                config=plan.config,
            )

        return self._child(name, command, listening)

    def _router_child(self, folder: Path) -> Child:
        services = {child.name: [child.listening.address] for child in self._services}
        fleet_config = folder / "fleet.yaml"
        fleet_config.write_text(yaml.safe_dump({"services": services}), encoding="utf-8")

        def command(at: Listening) -> list[str]:
            return router_command(fleet_config, at.address, at.metrics_address)

        return self._child(ROUTER, command, self._plan.router)

    def _child(self, name: str, command: Command, listening: Listening) -> Child:
        return Child(name, command, listening, self._report.line, self._report.restart)


@asynccontextmanager
async def running(plan: FleetPlan, report: Report) -> AsyncIterator[str]:
    """The router's address, while the fleet runs. A signal to end ends the block and drains; a second one kills."""
    fleet = LocalFleet(plan, report)
    ending = Ending(fleet.kill)
    with tempfile.TemporaryDirectory(prefix="argosy-") as folder:
        try:
            address = await fleet.start(Path(folder))
            keeping = asyncio.create_task(fleet.keep_running())
            try:
                yield address
            finally:
                keeping.cancel()
                # A restart that had begun must be over before the children are drained.
                await asyncio.wait({keeping})
        finally:
            ending.begin()
            await fleet.drain()


def _ready_models(addresses: Sequence[str]) -> set[ModelVersion]:
    ready: set[ModelVersion] = set()
    for address in addresses:
        with connect(address, _CALL_TIMEOUT_S) as service:
            ready |= ready_versions(service.statuses())
    return ready
