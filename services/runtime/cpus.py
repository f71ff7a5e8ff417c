"""How many CPUs this process may use: ONNX Runtime would count the host's."""

import os
from pathlib import Path

CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def usable_cpus(limit_file: Path = CGROUP_LIMIT) -> int:
    """CPUs by affinity and by the cgroup's quota, rounded up, at least 1. Source: the kernel's cgroup-v2 document."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(affinity, _quota(limit_file) or affinity))


def _quota(limit_file: Path) -> int | None:
    try:
        quota, period = limit_file.read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else -(-int(quota) // int(period))
