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


def test_every_way_of_making_a_model_smaller_is_served(processes: Processes, tmp_path: Path) -> None:
    models = copy_models(tmp_path / "models", MODEL)
    rows = np.random.default_rng(0).uniform(
        [20, 1, 18, 60, 90, 40, 20, 2, 3, 60], [79, 2, 42, 133, 300, 240, 99, 9, 6, 124]
    )
    np.savez(tmp_path / "rows.npz", features=rows[None, :].repeat(8, axis=0).astype(np.float32))
    for steps in STEPS:
        command = [sys.executable, "-m", "argosy_cli", "optimise", MODEL, "--model-version", "1", *steps]
        allowed = ["--absolute-tolerance", "20", "--samples", str(tmp_path / "rows.npz"), "--models-dir", str(models)]
        subprocess.run([*command, *allowed], check=True, timeout=100)
    (models / MODEL / "serving.yaml").write_text("versions: [4, 3, 2, 1]\n")

    service = processes.service("tabular", models)

    assert set(ready_versions(service.channel)) == {(MODEL, version) for version in "1234"}
