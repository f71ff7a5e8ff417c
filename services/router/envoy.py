"""Envoy as a child process: started, started again when it dies, and ended with us.

Its log lines become ours, and nothing that it prints can end the router. This module deliberately knows nothing of what
Envoy routes: that comes over ADS.
"""

import asyncio
import contextlib
import signal
import sys
from asyncio import StreamReader
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from services.router import envoy_child

_log = structlog.get_logger(__name__)
_envoy_log = structlog.get_logger("envoy")

_FIRST_BACKOFF_S = 0.1
_LONGEST_BACKOFF_S = 5.0
# One that has run this long did not die of its start.
_STEADY_AFTER_S = 10.0
# A rejected configuration is printed whole, with all of its endpoints.
_MAX_LINE_BYTES = 1 << 20


class Envoy:
    """One Envoy, supervised. `command` starts it; `on_exit` is called before each restart."""

    def __init__(self, command: Sequence[str], on_exit: Callable[[], None]) -> None:
        self._command = command
        self._on_exit = on_exit
        self._process: Process | None = None

    async def supervise(self) -> None:
        """Keep Envoy running until cancelled."""
        backoff_s = _FIRST_BACKOFF_S
        clock = asyncio.get_running_loop().time
        while True:
            started_at = clock()
            code = await self._run()
            if clock() - started_at > _STEADY_AFTER_S:
                backoff_s = _FIRST_BACKOFF_S
            _log.error("envoy ended", code=code, restart_in_s=backoff_s)
            self._on_exit()
            await asyncio.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, _LONGEST_BACKOFF_S)

    async def end(self, timeout_s: float) -> None:
        """End Envoy now, by force once `timeout_s` is over."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), timeout_s)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _run(self) -> int:
        # A session of its own: Ctrl-C is for the router, which then ends Envoy in its order.
        process = await asyncio.create_subprocess_exec(
            *self._command, stderr=PIPE, limit=_MAX_LINE_BYTES, start_new_session=True
        )
        self._process = process
        try:
            if process.stderr is not None:
                await _pass_on(process.stderr)
            return await process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)


_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


async def _pass_on(printed: StreamReader) -> None:
    async for line in _lines(printed):
        level, _, text = line.partition("|")
        if level in _LEVELS:
            _envoy_log.log(_LEVELS[level], text)
        else:
            _envoy_log.warning(line)


async def _lines(printed: StreamReader) -> AsyncIterator[str]:
    """What is printed, line by line and without empty ones; a line over the limit comes cut into several."""
    while not printed.at_eof():
        try:
            line = await printed.readuntil()
        except asyncio.IncompleteReadError as end:
            line = end.partial
        except asyncio.LimitOverrunError as too_long:
            line = await printed.readexactly(too_long.consumed)
        if text := line.decode(errors="replace").strip():
            yield text


@dataclass(frozen=True, slots=True)
class EnvoyProgram:
    """Envoy's executable, and what it may use."""

    path: Path
    worker_threads: int
    max_heap_bytes: int


def envoy_command(program: EnvoyProgram, bootstrap_path: Path, drain_s: int) -> tuple[str, ...]:
    """How Envoy is started. Its base id is its own, so that several run on one machine."""
    return (
        sys.executable,
        *("-I", str(Path(envoy_child.__file__))),
        str(program.path),
        *("--config-path", str(bootstrap_path)),
        *("--concurrency", str(program.worker_threads)),
        *("--drain-time-s", str(drain_s), "--drain-strategy", "immediate"),
        *("--parent-shutdown-time-s", str(drain_s + 1)),
        *("--log-level", "warning", "--log-format", "%l|%v"),
        "--use-dynamic-base-id",
    )
