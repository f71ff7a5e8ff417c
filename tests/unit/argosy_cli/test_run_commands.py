"""The commands that become another program: what the user says reaches it."""

import subprocess
import sys

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
