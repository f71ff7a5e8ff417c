"""The Python program of clients/, as a process."""

import subprocess
import sys
from pathlib import Path

CLIENTS = Path(__file__).parents[3] / "clients"


def test_a_call_that_ended_before_it_was_to_be_cancelled_is_not_waited_for() -> None:
    flags = ["--address", "127.0.0.1:9", "--samples", str(CLIENTS / "samples"), "--only", "embedding"]
    command = [sys.executable, str(CLIENTS / "python" / "program.py"), *flags, "--cancel-after-ms", "60000"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: UNAVAILABLE")
