"""The commands that become another program: what the user says reaches it."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--front", "nosuch"], "argosy tabular: front: Input should be 'auto', 'native' or 'portable'"),
        (["--reflection", "--threads", "-1"], "argosy tabular: threads: Input should be greater than or equal to 0"),
        (["--nosuch"], "unrecognized arguments: --nosuch"),
    ],
)
def test_serve_takes_every_setting_of_the_service_as_a_flag(flags: list[str], said: str) -> None:
    command = [sys.executable, "-m", "argosy_cli", "serve", "tabular", *flags]
    served = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert served.returncode == 2
    assert said in served.stderr


def test_no_file_of_the_current_folder_runs_in_place_of_a_package_that_the_exporter_needs(tmp_path: Path) -> None:
    (tmp_path / "onnx.py").write_text("open('was_here', 'w')")
    command = [sys.executable, "-P", "-m", "argosy_cli", "export", "absent.onnx"]
    exported = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30)
    assert "there is no file absent.onnx" in exported.stderr
    assert not (tmp_path / "was_here").exists()
