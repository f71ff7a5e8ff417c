"""How much memory this process may use: the machine's, or what its container may where that is less."""

import os
from pathlib import Path

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def usable_memory_bytes(limit_file: Path = CGROUP_LIMIT) -> int:
    """Of cgroups it knows version 2, and of those the one that a container sees. Source: the kernel's document."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(machine, _limit(limit_file) or machine)


def _limit(limit_file: Path) -> int | None:
    try:
        limit = limit_file.read_text(encoding="ascii").strip()
        return None if limit == "max" else int(limit)
    except (OSError, ValueError):
        return None
