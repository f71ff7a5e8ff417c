"""`argosy up`: the whole fleet in the foreground, with a table of what it serves, until Ctrl-C.

What the processes log is their own: only what needs a person's eye is shown, all of it on request.
"""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from argosy_cli.client import connect
from argosy_cli.errors import CliError
from argosy_cli.fleet import FleetPlan, Report, running
from argosy_cli.logs import log_fields, plain_line
from argosy_cli.models import models_table
from argosy_cli.programs import LOOPBACK, ROUTER, SERVICES, Listening, default_listening

FREE = Listening(f"{LOOPBACK}:0", f"{LOOPBACK}:0")
# A line without a level is no log line, such as a traceback's.
ERRORS = frozenset({"error", "critical", ""})
WARNINGS = ERRORS | {"warning"}


def local_plan(
    models_dir: Path, config: Path | None, router_address: str | None, ready_timeout_s: float, *, free_ports: bool
) -> FleetPlan:
    """The three services and the router on the loopback. Raises CliError where there is no model to serve."""
    if not any(models_dir.glob("*/*/model.yaml")):
        raise CliError(f"no models in '{models_dir}': make the reference models with `argosy train`")
    places = {name: FREE if free_ports else default_listening(name) for name in (ROUTER, *SERVICES)}
    router = places.pop(ROUTER)
    router = Listening(router_address or router.address, router.metrics_address)
    return FleetPlan(places, router, models_dir, config, ready_timeout_s)


def up(plan: FleetPlan, console: Console, *, all_logs: bool) -> None:
    """Run the fleet until a signal to end. Raises CliError where it does not come up."""
    try:
        asyncio.run(_up(plan, console, all_logs=all_logs))
    except asyncio.CancelledError:
        say(console, "drained")


async def _up(plan: FleetPlan, console: Console, *, all_logs: bool) -> None:
    console.print("starting the fleet …", style="dim")
    async with running(plan, report(console, None if all_logs else WARNINGS)) as address:
        with connect(address, 10.0) as fleet:
            console.print(models_table(await asyncio.to_thread(fleet.statuses)))
        console.print(f"the fleet answers at {address}; Ctrl-C drains it")
        await asyncio.Event().wait()


def say(console: Console, text: str, style: str = "") -> None:
    """A terminal that has gone shows nothing, and what runs is drained all the same."""
    # rich ends the program where a pipe has no reader.
    with suppress(OSError, SystemExit):
        console.print(text, style=style, soft_wrap=True)


def report(console: Console, levels: Collection[str] | None) -> Report:
    """Show on the console what the processes say: lines of these levels, for a person; with None all, as they are."""

    def line(name: str, text: str) -> None:
        if levels is None:
            say(console, f"{name}: {text}")
        elif log_fields(text).get("level", "") in levels:
            say(console, f"{name}: {plain_line(text)}")

    def restart(name: str, code: int, pause_s: float) -> None:
        say(console, f"{name} ended with code {code}: starting it again in {pause_s:g} s", "yellow")

    return Report(line, restart)
