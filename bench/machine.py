"""Who runs where, and what it costs: CPUs, processes with their children, and the facts that go with every figure."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Cpus:
    """Where the server runs, and where everything else does; the same one on a machine that has no more."""

    server: int
    load: int

    @property
    def shared(self) -> bool:
        return self.server == self.load


def usable_cpus() -> Cpus:
    allowed = sorted(os.sched_getaffinity(0))
    return Cpus(allowed[0], allowed[-1])


@contextmanager
def pinned(cpu: int) -> Iterator[None]:
    """What is started in the block inherits the CPU."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_s(pid: int) -> float:
    """User and system seconds so far of a process and all that it has started and that still run."""
    root = psutil.Process(pid)
    return sum(times.user + times.system for times in (p.cpu_times() for p in [root, *root.children(recursive=True)]))


def facts() -> dict[str, str]:
    """What the figures were measured on."""
    return {
        "cpu": _cpu_name(),
        "cpus": str(psutil.cpu_count()),
        "python": platform.python_version(),
        **{package: version(package) for package in ("onnxruntime", "grpcio")},
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
