"""What a Triton that was killed leaves behind."""

import os
import subprocess
import sys
from pathlib import Path

from bench.peers.triton import clear_leftovers


def test_the_shared_memory_of_a_benchmark_that_has_ended_goes_and_nothing_else(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    regions = [f"argosy-bench-{ended.pid}-region_1", f"argosy-bench-{os.getpid()}-region_1", "argosy-bench-x", "other"]
    for name in regions:
        (tmp_path / name).touch()
    clear_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(regions[1:])
