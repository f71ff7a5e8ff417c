"""Structured logs: one JSON object a line on standard error, so that a collector need not parse prose.

A line that cannot be written, as on a full disk, is counted and harms nobody: who logs is about to answer a request or
to watch a fleet. The next line is tried anew.
"""

import sys
import threading
from collections.abc import Iterator
from typing import TextIO

import structlog
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector


class Log(Collector):
    """Where a process's lines go, as structlog calls it; `errors` of them could not be written when they came."""

    def __init__(self, stream: TextIO) -> None:
        self.errors = 0
        self._stream, self._lock = stream, threading.Lock()

    def collect(self) -> Iterator[Metric]:
        text = "Log lines that could not be written when they came"
        yield CounterMetricFamily("argosy_log_errors", text, self.errors)

    def write(self, line: str) -> None:
        with self._lock:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except OSError:
                self.errors += 1

    debug = info = warning = error = critical = write


def configure_logs(service: str, stream: TextIO = sys.stderr) -> Log:
    """Every line carries time, level, event and the service's name."""
    log = Log(stream)
    structlog.configure(
        processors=[
            lambda _logger, _level, line: {"service": service, **line},
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=lambda *_: log,
    )
    return log
