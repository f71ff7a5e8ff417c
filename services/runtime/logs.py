"""Structured logs: one JSON object a line on standard error, so that a collector need not parse prose."""

import sys
from typing import TextIO

import structlog


def configure_logs(service: str, stream: TextIO = sys.stderr) -> None:
    """Every line carries time, level, event and the service's name."""
    structlog.configure(
        processors=[
            lambda _logger, _level, line: {"service": service, **line},
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(stream),
    )
