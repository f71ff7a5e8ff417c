"""How much memory this process holds, and held at most, as Linux tells it."""

import os
from pathlib import Path

import pytest

_CLEAR = Path(f"/proc/{os.getpid()}/clear_refs")

NEEDS_PEAKS = pytest.mark.skipif(not _CLEAR.exists(), reason="peaks of memory are read from Linux")


def begin_peak() -> int:
    """Forget the peak so far; the bytes held now."""
    _CLEAR.write_text("5")
    return _bytes("VmRSS")


def peak_bytes() -> int:
    """The most that was held since."""
    return _bytes("VmHWM")


def _bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
