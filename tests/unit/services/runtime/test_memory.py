"""The memory that a process may use is the machine's, or less where its cgroup says so."""

from pathlib import Path

import pytest

from services.runtime.memory import usable_memory_bytes


def test_a_cgroups_limit_counts(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("134217728\n")
    assert usable_memory_bytes(tmp_path / "memory.max") == 128 << 20


@pytest.mark.parametrize("limit", ["max\n", "", None, str(1 << 60)])
def test_without_a_limit_that_is_less_it_is_the_machines(limit: str | None, tmp_path: Path) -> None:
    if limit is not None:
        (tmp_path / "memory.max").write_text(limit)
    machine = int(Path("/proc/meminfo").read_text().split()[1]) * 1024  # MemTotal, kB
    assert usable_memory_bytes(tmp_path / "memory.max") == pytest.approx(machine, rel=0.01)
