"""Real processes for tests: services and routers on port 0, known by what they log, ended by their own pid.

A process tells on standard error, a JSON object a line, where it serves and when it is ready; a thread reads that, and
whoever waits is woken by the line, so nothing here sleeps or guesses a port. Whatever a test starts it gets through a
`Processes`, which ends all of it.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import grpc
import psutil
import yaml

ROOT = Path(__file__).resolve().parents[2]

# More than the services take, so that a test can send what they refuse.
CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
    # A caller that does not try again sees every failure.
    ("grpc.enable_retries", 0),
    # Our own proxy settings, if any, are not for 127.0.0.1.
    ("grpc.enable_http_proxy", 0),
)

ANY_PORTS = ("--address", "127.0.0.1:0", "--metrics-address", "127.0.0.1:0")

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 40.0


class ServerProcess:
    """A child process in a group of its own, and what it has logged so far."""

    def __init__(self, name: str, command: Sequence[str], folder: Path = ROOT) -> None:
        self.name = name
        self._events: list[dict[str, object]] = []
        self._lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        own = {key: value for key, value in os.environ.items() if not key.startswith("ARGOSY_")}
        self._popen = subprocess.Popen(
            command,
            cwd=folder,
            env=own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        self._reader = threading.Thread(target=self._read, name=f"log of {name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def log(self) -> str:
        """Everything that it has written."""
        with self._changed:
            return "\n".join(self._lines)

    def wait_for(self, event: str, timeout_s: float = START_TIMEOUT_S, **fields: object) -> dict[str, object]:
        """The first log line of this event and these fields. Raises AssertionError where it ends or is too late."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._first(event, fields) is not None, timeout_s)
            found = self._first(event, fields)
        assert found is not None, f"{self.name} did not log {event!r} {fields} (ended: {self._ended}):\n{self.log}"
        return found

    def signal(self, number: int) -> None:
        self._popen.send_signal(number)

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Its exit code, once it has ended by itself and its log is read."""
        try:
            code = self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {timeout_s} s:\n{self.log}") from None
        self._reader.join(timeout_s)
        return code

    def terminate(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """SIGTERM, and its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout_s)

    def kill(self) -> None:
        """End it and what it has started, now."""
        with suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()

    def usage(self) -> "Usage":
        """What it holds now."""
        return usage(self.pid)

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for raw in self._popen.stdout:
            line = raw.decode(errors="replace").rstrip()
            with self._changed:
                self._lines.append(line)
                if (fields := _fields(line)) is not None:
                    self._events.append(fields)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _first(self, event: str, fields: Mapping[str, object]) -> dict[str, object] | None:
        wanted = {"event": event, **fields}
        return next((line for line in self._events if wanted.items() <= line.items()), None)


@dataclass(frozen=True, slots=True)
class Usage:
    """Memory that is resident, in bytes, CPU seconds spent, open descriptors, and threads."""

    rss_bytes: int
    cpu_s: float
    descriptor_count: int
    thread_count: int


def usage(pid: int) -> Usage:
    """Read from the kernel; raises psutil.NoSuchProcess."""
    process = psutil.Process(pid)
    with process.oneshot():
        times = process.cpu_times()
        return Usage(process.memory_info().rss, times.user + times.system, process.num_fds(), process.num_threads())


@dataclass(frozen=True, slots=True)
class Server:
    """A process that serves gRPC, and a channel to it."""

    process: ServerProcess
    address: str
    metrics_address: str
    channel: grpc.Channel


class Processes:
    """Starts what a test needs; on leaving it, whatever still runs is killed and every channel closed."""

    def __init__(self) -> None:
        self._started: list[ServerProcess] = []
        self._channels: list[grpc.Channel] = []

    def __enter__(self) -> "Processes":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for channel in self._channels:
            channel.close()
        for process in self._started:
            process.kill()

    def run(self, name: str, command: Sequence[str], folder: Path = ROOT) -> ServerProcess:
        """Any program of which log lines are expected, started in `folder`."""
        process = ServerProcess(name, command, folder)
        self._started.append(process)
        return process

    def service(
        self,
        kind: str,
        models_dir: Path,
        *flags: str,
        module: str = "",
        loaded: bool = True,
        load_s: float = START_TIMEOUT_S,
    ) -> Server:
        """`services.<kind>`, once it has tried every model, for which it has `load_s` (or, not `loaded`, as soon as it
        listens).
        """
        command = [sys.executable, "-m", module or f"services.{kind}", "--models-dir", str(models_dir)]
        return self.serve(kind, [*command, *ANY_PORTS, *flags], loaded=loaded, load_s=load_s)

    def serve(
        self,
        name: str,
        command: Sequence[str],
        folder: Path = ROOT,
        loaded: bool = True,
        load_s: float = START_TIMEOUT_S,
    ) -> Server:
        """Any program that logs where it serves and when it has loaded."""
        process = self.run(name, command, folder)
        server = self._server(process)
        if loaded:
            process.wait_for("loaded", load_s)
        return server

    def router(self, folder: Path, services: Mapping[str, Sequence[str]], **settings: object) -> Server:
        """A router over services by name, its fleet.yaml in `folder`, once it serves."""
        config = folder / "fleet.yaml"
        fleet = {"address": "127.0.0.1:0", "metrics_address": "127.0.0.1:0", **settings}
        fleet["services"] = {name: list(addresses) for name, addresses in services.items()}
        config.write_text(yaml.safe_dump(fleet), encoding="utf-8")
        process = self.run("router", [sys.executable, "-m", "services.router", "--config", str(config)])
        return self._server(process)

    def channel(self, address: str) -> grpc.Channel:
        """A connection of its own."""
        channel = grpc.insecure_channel(address, CHANNEL_OPTIONS)
        self._channels.append(channel)
        return channel

    def _server(self, process: ServerProcess) -> Server:
        serving = process.wait_for("serving")
        address, metrics_address = str(serving["address"]), str(serving.get("metrics_address", ""))
        return Server(process, address, metrics_address, self.channel(address))


def _fields(line: str) -> dict[str, object] | None:
    if not line.startswith("{"):
        return None
    try:
        fields = json.loads(line)
    except json.JSONDecodeError:
        return None
    return fields if isinstance(fields, dict) else None
