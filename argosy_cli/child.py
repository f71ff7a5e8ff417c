"""One program kept running: started, started again whenever it ends by itself, drained, killed.

A child has a process group of its own, so that a Ctrl-C at the terminal reaches this process alone, which then drains
the children in order; and so that what a dead child started (the router's Envoy) does not outlive it. Where a child
serves is read from its log: the line whose event is `serving`. A child given port 0 gets the port that it found then
when it is started again, so that whoever knows its address still finds it.
"""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Callable, Sequence
from typing import BinaryIO, TypeAlias

from argosy_cli.errors import CliError
from argosy_cli.logs import log_fields, plain_line
from argosy_cli.programs import Listening

Command: TypeAlias = Callable[[Listening], Sequence[str]]

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
# Who ran this long did not fail at starting: the next pause is short again.
_STEADY_S = 60.0
_MAX_LINE_BYTES = 1 << 20


def restart_pause_s(failures: int) -> float:
    """How long to wait before the next start, after `failures` ends in a row: 0.5 s, doubled, at most 30 s."""
    return min(_FIRST_PAUSE_S * 2.0 ** (failures - 1), _LONGEST_PAUSE_S)


class Child:
    """A program of the fleet. `on_line` gets every line that it writes, `on_restart` every death that is mended."""

    def __init__(
        self,
        name: str,
        command: Command,
        listening: Listening,
        on_line: Callable[[str, str], None],
        on_restart: Callable[[str, int, float], None],
    ) -> None:
        self.name = name
        self.listening = listening
        self._command = command
        self._on_line = on_line
        self._on_restart = on_restart
        self._process: Process | None = None
        self._ended: asyncio.Task[int] | None = None
        self._log = _Log()

    async def start(self) -> Listening:
        """Start it and wait until it serves. Raises CliError with its last line where it ends instead."""
        await self._spawn()
        fields = await self.logged("serving")
        self.listening = Listening(fields["address"], fields.get("metrics_address", ""))
        return self.listening

    async def logged(self, event: str) -> dict[str, str]:
        """The text fields of its first log line of this event, once written. Raises CliError where it ends first."""
        found = await self._log.wait_for(event)
        if found is None:
            code = await self._ended if self._ended is not None else -1
            raise CliError(
                f"{self.name} at {self.listening.address} ended with code {code} before it was ready:"
                f" {plain_line(self._log.last_line)}"
            )
        return found

    async def keep_running(self) -> None:
        """Start it again whenever it ends, with a growing pause. Runs until cancelled."""
        failures = 0
        loop = asyncio.get_running_loop()
        while self._ended is not None:
            begun = loop.time()
            code = await asyncio.shield(self._ended)
            failures = 1 if loop.time() - begun > _STEADY_S else failures + 1
            pause_s = restart_pause_s(failures)
            self._on_restart(self.name, code, pause_s)
            await asyncio.sleep(pause_s)
            await self._spawn()

    async def drain(self) -> None:
        """SIGTERM, and wait until it has ended. It bounds its own drain; `kill` ends it at once."""
        if self._process is None or self._ended is None:
            return
        if self._process.returncode is None:
            self._process.terminate()
        await self._ended

    def kill(self) -> None:
        """End it and what it started, now."""
        if self._process is not None:
            _kill_group(self._process)

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return self._process.pid if self._process is not None else None

    async def _spawn(self) -> None:
        # A pipe of our own: Process.wait() would else wait for whoever inherited the child's end of it.
        read_end, write_end = os.pipe()
        try:
            command = self._command(self.listening)
            process = await asyncio.create_subprocess_exec(
                *command, stdin=DEVNULL, stdout=write_end, stderr=STDOUT, process_group=0
            )
        finally:
            os.close(write_end)
        self._process, self._log = process, _Log()
        self._ended = asyncio.create_task(self._follow(process, os.fdopen(read_end, "rb"), self._log))

    async def _follow(self, process: Process, output: BinaryIO, log: "_Log") -> int:
        """Pass on what the process writes until it has ended, and with it what it started; its exit code."""
        reading = asyncio.create_task(self._read(output, log))
        code = await process.wait()
        _kill_group(process)
        await reading
        return code

    async def _read(self, output: BinaryIO, log: "_Log") -> None:
        reader = asyncio.StreamReader(_MAX_LINE_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, output)
        while not reader.at_eof():
            try:
                line = (await reader.readline()).decode(errors="replace").rstrip()
            except ValueError:
                line = f"(a line of more than {_MAX_LINE_BYTES} bytes was dropped)"
            if line:
                await log.put(line)
                self._on_line(self.name, line)
        transport.close()
        await log.end()


def _kill_group(process: Process) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


class _Log:
    """What one process has written: its last line, and the fields of the first line of each event."""

    def __init__(self) -> None:
        self.last_line = ""
        self._events: dict[str, dict[str, str]] = {}
        self._ended = False
        self._changed = asyncio.Condition()

    async def put(self, line: str) -> None:
        fields = log_fields(line)
        async with self._changed:
            self.last_line = line or self.last_line
            self._events.setdefault(fields.get("event", ""), fields)
            self._changed.notify_all()

    async def end(self) -> None:
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def wait_for(self, event: str) -> dict[str, str] | None:
        """The fields of the event's first line; None where the log ended without one."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._ended or event in self._events)
        return self._events.get(event)
