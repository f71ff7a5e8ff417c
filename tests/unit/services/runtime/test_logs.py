"""Log lines, and a log that cannot be written: whoever logs goes on."""

import errno
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry

from services.runtime.logs import configure_logs


@pytest.fixture(autouse=True)
def configured() -> Iterator[None]:
    """What a test configures is its own."""
    kept = structlog.get_config()
    yield
    structlog.configure(**kept)


class FullDisk(io.StringIO):
    """A log file on a disk that has no room until it is said to have some."""

    has_room = False

    def flush(self) -> None:
        if not self.has_room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_line_says_who_logs_it_how_grave_it_is_and_when() -> None:
    stream = io.StringIO()
    configure_logs("text", stream)
    structlog.get_logger().warning("it happened", times=2)
    line = json.loads(stream.getvalue())
    assert line.pop("timestamp")
    assert line == {"service": "text", "level": "warning", "event": "it happened", "times": 2}


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical", "exception"])
def test_a_line_for_which_the_disk_has_no_room_harms_nobody_and_is_counted(level: str) -> None:
    registry = CollectorRegistry()
    registry.register(configure_logs("text", FullDisk()))
    for _ in range(2):
        getattr(structlog.get_logger(), level)("it happened")
    assert registry.get_sample_value("argosy_log_errors_total") == 2


def test_a_log_goes_on_once_its_disk_has_room_again() -> None:
    stream = FullDisk()
    log = configure_logs("text", stream)
    structlog.get_logger().info("too much")
    stream.has_room = True
    structlog.get_logger().info("room")
    assert json.loads(stream.getvalue().splitlines()[-1])["event"] == "room"
    assert log.errors == 1


def test_what_is_written_to_a_file_once_there_is_room_is_whole_lines(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream, Path("/dev/full").open("w") as full:
        disk = os.dup(stream.fileno())
        log = configure_logs("text", stream)
        os.dup2(full.fileno(), stream.fileno())
        for number in range(300):  # more than a stream keeps by itself
            structlog.get_logger().info("too much", number=number)
        os.dup2(disk, stream.fileno())
        os.close(disk)
        structlog.get_logger().info("room")
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert log.errors == 300
    assert lines[-1]["event"] == "room"
