"""Exports that write at once leave each other's folders alone; what a killed one left is cleared away."""

import subprocess
import sys
from pathlib import Path

import pytest

from exporter.partial_folder import partial_folder

KILLED = """
import os, signal, sys
from pathlib import Path
from exporter.partial_folder import partial_folder
with partial_folder(Path(sys.argv[1]), "a", "1"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("name", "version"), [("a", "1"), ("a-1", "2"), ("a", "12")])
def test_a_folder_that_is_written_to_outlives_another_export(tmp_path: Path, name: str, version: str) -> None:
    with partial_folder(tmp_path, name, version) as live, partial_folder(tmp_path, "a", "1") as other:
        assert live.is_dir()
        assert other.is_dir()


def test_what_a_killed_export_left_is_cleared_away_by_the_next_of_its_version_alone(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, timeout=60)
    (left,) = tmp_path.iterdir()
    with partial_folder(tmp_path, "a-1", "1"), partial_folder(tmp_path, "a", "11"):
        assert left.is_dir()
    with partial_folder(tmp_path, "a", "1"):
        assert not left.exists()


def test_a_folder_in_which_something_went_wrong_is_deleted(tmp_path: Path) -> None:
    with pytest.raises(KeyError), partial_folder(tmp_path, "a", "1"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []
