"""How much memory a process holds, and held at most, as Linux tells it: the kernel's proc.rst, on clear_refs."""

import os
from pathlib import Path

import pytest

NEEDS_PEAKS = pytest.mark.skipif(
    not Path(f"/proc/{os.getpid()}/clear_refs").exists(), reason="peaks of memory are read from Linux"
)


def begin_peak(pid: int | None = None) -> int:
    """Forget the peak so far, of this process where none is named; the bytes held now."""
    pid = pid or os.getpid()
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _bytes(pid, "VmRSS")


def peak_bytes(pid: int | None = None) -> int:
    """The most that was held since."""
    return _bytes(pid or os.getpid(), "VmHWM")


def _bytes(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
