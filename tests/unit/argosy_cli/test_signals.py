"""Signals to what has started programs: small programs stand where the services and the training are looked for."""

import asyncio
import io
import os
import pty
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from argosy_cli.demo import demo
from argosy_cli.errors import CliError
from argosy_cli.fleet import FleetPlan, Report, running
from argosy_cli.one_service import with_version
from argosy_cli.programs import Listening
from argosy_cli.signals import on_end
from argosy_cli.up import report

ANY = Listening("127.0.0.1:0", "127.0.0.1:0")
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Its address is its process id.
SERVICE = """
import json, os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print(json.dumps({"event": "serving", "address": str(os.getpid())}), flush=True)
if sys.argv[0].endswith("tabular.py"):
    print(json.dumps({"event": "loaded"}), flush=True)
while True:
    signal.pause()
"""
DRAINS_FOR_EVER = """
import json, os, signal
signal.signal(signal.SIGTERM, lambda *_: print(json.dumps({"event": "draining"}), flush=True))
print(json.dumps({"event": "serving", "address": str(os.getpid())}), flush=True)
print(json.dumps({"event": "loaded"}), flush=True)
while True:
    signal.pause()
"""
FAILS = "raise SystemExit('the address is taken')"
# As the terminal's end does, to its parent; SIGINT ends it.
TRAINING = """
import os, pathlib, signal
try:
    os.kill(os.getppid(), signal.SIGHUP)
    signal.pause()
except KeyboardInterrupt:
    pathlib.Path("interrupted").touch()
"""


@pytest.fixture(autouse=True)
def unhandled() -> Iterator[None]:
    """A signal that nobody handles fails the test instead of ending pytest."""

    def fail(number: int, _frame: object) -> None:
        raise AssertionError(f"nobody handles {signal.Signals(number).name}")

    before = {number: signal.signal(number, fail) for number in ENDINGS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which `python -m` looks first."""
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def has_ended(process: int, timeout_s: float) -> bool:
    """Whether the process ends within the time."""
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    readable, _, _ = select.select([descriptor], [], [], timeout_s)
    os.close(descriptor)
    return bool(readable)


async def run_fleet(at_event: str, number: signal.Signals, started: list[int]) -> None:
    """The fleet of one service, which gets the signal when the service logs the event."""

    def line(_name: str, text: str) -> None:
        if '"serving"' in text:
            started.append(int(text.split('"')[-2]))
        if f'"{at_event}"' in text:
            os.kill(os.getpid(), number)

    plan = FleetPlan({"vision": ANY}, ANY, Path("models"), None, 10)
    async with running(plan, Report(line, lambda *_: None)):
        await asyncio.Event().wait()


@pytest.mark.parametrize("number", ENDINGS)
def test_a_fleet_is_drained_at_each_signal_to_end(programs: Path, number: signal.Signals) -> None:
    (programs / "services" / "vision.py").write_text(SERVICE)
    started: list[int] = []
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run_fleet("serving", number, started))
    assert [has_ended(process, 0) for process in started] == [True]


def test_a_signal_in_a_drain_that_a_failed_start_began_kills_and_the_failure_is_told(programs: Path) -> None:
    (programs / "services" / "vision.py").write_text(DRAINS_FOR_EVER)
    (programs / "services" / "router.py").write_text(FAILS)
    started: list[int] = []
    try:
        with pytest.raises(CliError, match="the address is taken"):
            asyncio.run(run_fleet("draining", signal.SIGINT, started))
        assert [has_ended(process, 0) for process in started] == [True]
    finally:
        for process in started:
            if not has_ended(process, 0):
                os.kill(process, signal.SIGKILL)


def test_the_demo_ends_its_training_with_its_terminal(programs: Path) -> None:
    (programs / "training.py").write_text(TRAINING)
    with pytest.raises(CliError, match="interrupted") as caught:
        demo(programs / "models", programs / "cache", Console(quiet=True))
    assert caught.value.exit_code == 130
    assert (programs / "interrupted").exists()


@pytest.mark.parametrize("number", ENDINGS)
def test_one_service_is_drained_at_each_signal_to_end(programs: Path, number: signal.Signals) -> None:
    (programs / "services" / "tabular.py").write_text(SERVICE)
    version = programs / "models" / "price" / "1"
    version.mkdir(parents=True)
    (version / "model.yaml").write_text("tasks: [TASK_TABULAR_REGRESSION]")
    ended: list[bool] = []

    def work(address: str) -> None:
        os.kill(os.getpid(), number)
        ended.append(has_ended(int(address), 20))

    with pytest.raises(CliError, match="interrupted") as caught:
        with_version(programs / "models", "price", "", work)
    assert caught.value.exit_code == 130
    assert ended == [True]


def test_what_the_processes_say_is_dropped_where_the_terminal_has_gone() -> None:
    terminal, shell = pty.openpty()
    os.close(terminal)
    with os.fdopen(shell, "wb", buffering=0) as raw:
        gone = io.TextIOWrapper(raw, write_through=True)
        said = report(Console(file=gone), None)
        said.line("vision", "draining")
        said.restart("vision", 1, 0.5)


def test_an_ignored_end_of_the_terminal_stays_ignored() -> None:
    async def handler() -> object:
        on_end(lambda: None)
        return signal.getsignal(signal.SIGHUP)

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert asyncio.run(handler()) is signal.SIG_IGN
