"""Versions that were made smaller are served as any other: the real service loads and runs each of them."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.e2e.conftest import ready_versions
from tests.e2e.disk import copy_models
from tests.e2e.harness import Processes

STEPS = (["--fp16"], ["--int8"], ["--optimise"])
MODEL = "diabetes"
# Wide: that they are served is tested here, and int8 takes a network this small far off on hard rows.
ALLOWED = "200"


def test_every_way_of_making_a_model_smaller_is_served(processes: Processes, tmp_path: Path) -> None:
    models = copy_models(tmp_path / "models", MODEL)
    low, high = [20, 1, 18, 60, 90, 40, 20, 2, 3, 60], [79, 2, 42, 133, 300, 240, 99, 9, 6, 124]
    rows = np.random.default_rng(0).uniform(low, high, (8, len(low)))
    samples = tmp_path / "rows.npz"
    np.savez(samples, features=rows.astype(np.float32))
    for steps in STEPS:
        command = [
            sys.executable,
            "-m",
            "argosy_cli",
            "optimise",
            MODEL,
            "--model-version",
            "1",
            "--unlabelled",
            *steps,
        ]
        allowed = ["--absolute-tolerance", ALLOWED, "--samples", str(samples), "--models-dir", str(models)]
        subprocess.run([*command, *allowed], check=True, timeout=100)
    (models / MODEL / "serving.yaml").write_text("versions: [4, 3, 2, 1]\n")

    service = processes.service("tabular", models)

    assert set(ready_versions(service.channel)) == {(MODEL, version) for version in "1234"}
