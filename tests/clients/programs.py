"""Building a language's program, and running it: what it printed, how it ended, how long it took.

A program that does not end by itself is a finding, not a hang: everything is bounded.
"""

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.clients.languages import SAMPLES, Language
from tests.clients.protoc import tools_path

BUILD_TIMEOUT_S = 1200.0
RUN_TIMEOUT_S = 90.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """`code` is None where the program had to be ended."""

    code: int | None
    lines: list[str]
    error: str
    elapsed_s: float

    @property
    def error_line(self) -> str:
        """The last line of standard error; libraries may have written before it."""
        return (self.error.strip().splitlines() or [""])[-1]


class BuildFailedError(Exception):
    """The build tool's own words."""


def build(language: Language) -> float:
    """Seconds that it took. Raises BuildFailedError."""
    begun = time.monotonic()
    for command in language.build:
        outcome = _run(language, command, BUILD_TIMEOUT_S)
        if outcome.code != 0:
            said = "\n".join([*outcome.lines, outcome.error])[-4000:]
            raise BuildFailedError(f"{language.name}: {' '.join(command)} ended with {outcome.code}:\n{said}")
    return time.monotonic() - begun


def run(language: Language, flags: Sequence[str]) -> Outcome:
    """The program with the shared samples, unless `flags` name others."""
    samples = [] if "--samples" in flags else ["--samples", str(SAMPLES)]
    return _run(language, [*language.run, *samples, *flags], RUN_TIMEOUT_S)


def _run(language: Language, command: Sequence[str], timeout_s: float) -> Outcome:
    begun = time.monotonic()
    try:
        done = subprocess.run(
            command,
            cwd=language.folder,
            env={**os.environ, "PATH": tools_path()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return Outcome(None, _lines(late.stdout), _text(late.stderr), time.monotonic() - begun)
    return Outcome(done.returncode, _lines(done.stdout), _text(done.stderr), time.monotonic() - begun)


def _lines(output: bytes | None) -> list[str]:
    return _text(output).splitlines()


def _text(output: bytes | None) -> str:
    return (output or b"").decode(errors="replace")
