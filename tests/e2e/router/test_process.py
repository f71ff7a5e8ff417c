"""The router as a process: its exit codes and what it says when it cannot serve."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.router.processes import ENVIRONMENT, ROOT, SteadyFleet


def run_router(config: Path) -> tuple[int, list[dict[str, object]]]:
    """The exit code and the log of a router that does not get to serve."""
    ended = subprocess.run(
        [sys.executable, "-m", "services.router", "--config", str(config)],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
        env=ENVIRONMENT,
        cwd=ROOT,
    )
    return ended.returncode, [json.loads(line) for line in ended.stderr.splitlines() if line.startswith("{")]


@pytest.mark.parametrize(
    ("text", "says"),
    [("services: {}", "services"), ("services: {text: [nowhere]}", "host:port"), ("{", "YAML"), ("port: 1", "port")],
)
def test_a_bad_configuration_ends_with_2_and_says_why(tmp_path: Path, text: str, says: str) -> None:
    config = tmp_path / "fleet.yaml"
    config.write_text(text)
    code, log = run_router(config)
    assert code == 2
    assert says in str(log[-1]["error"])


def test_an_address_that_is_taken_ends_with_1(tmp_path: Path, fleet: SteadyFleet) -> None:
    config = tmp_path / "fleet.yaml"
    settings = {"address": fleet.router.address, "metrics_address": "127.0.0.1:0", "services": {"text": []}}
    config.write_text(json.dumps(settings))
    code, log = run_router(config)
    assert code == 1
    assert any("bind" in str(line) for line in log), log
