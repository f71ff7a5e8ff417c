"""The benchmark of a card runs to its end; on the CPU its figures say nothing."""

import re
import subprocess
import sys

from tests.e2e.harness import ROOT

COMMAND = (sys.executable, "-m", "bench.gpu", "--seconds", "0.05", "--rounds", "1")


def test_a_service_is_measured_beside_its_session() -> None:
    ended = subprocess.run(
        [*COMMAND, "--provider", "cpu", "mlp"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=110
    )
    assert ended.returncode == 0, ended.stderr
    line = r"mlp: run [\d,]+ rows/s, session [\d,]+ rows/s, served [\d,]+ requests/s, ratio \d+\.\d\d \(goal 0.95\)"
    assert re.search(line, ended.stdout), ended.stdout
