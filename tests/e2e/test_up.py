"""`argosy up` as a person runs it: real services, a real router, signals."""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from argosy_cli.readiness import wait_until_ready
from tests.e2e.disk import copy_models

SEVEN = Path(__file__).parents[2] / "argosy_cli" / "samples" / "seven.png"


@pytest.fixture
def up(tmp_path: Path) -> Iterator["Up"]:
    """A fleet of two small models, ended with the test whatever happens."""
    started = Up(copy_models(tmp_path / "models", "digits", "diabetes"), "--free-ports")
    yield started
    started.end()


class Up:
    """`argosy up` in a process of its own."""

    def __init__(self, models_dir: Path, *flags: str) -> None:
        command = [sys.executable, "-m", "argosy_cli", "up", "--models-dir", str(models_dir), *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines: list[str] = []

    def read_until(self, words: str) -> str:
        """Its next line with these words. Fails where it ends first."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if words in line:
                return line.rstrip()
        raise AssertionError(f"it ended without '{words}':\n" + "\n".join(self.lines))

    def address(self) -> str:
        """The router's, once the fleet is ready."""
        return self.read_until("the fleet answers at").split()[4].rstrip(";")

    def programs(self) -> dict[str, psutil.Process]:
        """The children by the module that they run."""
        children = psutil.Process(self.process.pid).children()
        return {child.cmdline()[2]: child for child in children}

    def end(self) -> None:
        if self.process.poll() is None:
            for process in [*psutil.Process(self.process.pid).children(recursive=True), self.process]:
                process.kill()
        self.process.communicate()


def predict(address: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "argosy_cli", "predict", "digits", str(SEVEN), "--router", address, "--top", "1"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_fleet_answers_until_it_is_told_to_stop_and_leaves_nothing_behind(up: Up, number: int) -> None:
    answer = predict(up.address())
    assert "7 1.00" in answer.stdout, answer.stderr
    descendants = psutil.Process(up.process.pid).children(recursive=True)
    up.process.send_signal(number)
    up.read_until("drained")
    assert up.process.wait(30) == 0
    assert [process for process in descendants if process.is_running()] == []


@pytest.mark.parametrize("module", ["services.vision", "services.router"])
def test_a_process_that_is_killed_is_started_again_and_the_fleet_answers_as_before(up: Up, module: str) -> None:
    address = up.address()
    up.programs()[module].kill()
    up.read_until(f"{module.partition('.')[2]} ended with code -9: starting it again")
    asyncio.run(_ready_again(address))
    assert "7 1.00" in predict(address).stdout


async def _ready_again(address: str) -> None:
    # The channel connects anew for as long as the address does not answer.
    async with asyncio.timeout(60):
        await wait_until_ready("router", address, {("digits", "1")})


def test_a_port_that_is_taken_is_one_line_and_nothing_stays_up(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        up = Up(copy_models(tmp_path / "models", "diabetes"), "--free-ports", "--address", address)
        try:
            said = up.read_until(f"argosy: router at {address} ended with code 1")
            assert up.process.wait(30) == 1
        finally:
            up.end()
    assert "could not bind" in said


def test_a_folder_without_models_is_one_line_that_says_how_to_make_them(tmp_path: Path) -> None:
    up = Up(tmp_path)
    try:
        up.read_until("argosy train")
        assert up.process.wait(30) == 1
    finally:
        up.end()
