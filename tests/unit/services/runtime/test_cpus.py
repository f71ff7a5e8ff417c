"""How many CPUs a process may use."""

import os
from pathlib import Path

import pytest

from services.runtime.cpus import usable_cpus


@pytest.mark.parametrize(("text", "expected"), [("50000 100000", 1), ("100000 100000", 1), ("max 100000", None)])
def test_the_cgroups_quota_bounds_the_cpus(text: str, expected: int | None, tmp_path: Path) -> None:
    limit = tmp_path / "cpu.max"
    limit.write_text(text)
    assert usable_cpus(limit) == (expected or len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("text", ["", "nonsense", "1 2 3"])
def test_a_quota_that_says_nothing_is_none(text: str, tmp_path: Path) -> None:
    limit = tmp_path / "cpu.max"
    limit.write_text(text)
    assert usable_cpus(limit) == len(os.sched_getaffinity(0))


def test_without_a_cgroup_the_affinity_counts(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path / "nosuch") == len(os.sched_getaffinity(0))
