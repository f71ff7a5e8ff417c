"""What the tests' tools make once: a run that fails leaves nothing that the next one would take for whole."""

import subprocess
from pathlib import Path

import pytest

from k8s.testing import tools

# Each download is of a newer version.
APT_GET = """#!/bin/sh
case "$*" in *download*) touch "debootstrap_$(ls debootstrap_* 2>/dev/null | wc -l).$$_all.deb";; esac
"""
# The first unpacking stops with the program there and the rest of it missing.
DPKG_DEB = """#!/bin/sh
mkdir -p "$3/usr/sbin" && touch "$3/usr/sbin/debootstrap"
if [ ! -e "$0.ran" ]; then touch "$0.ran"; exit 2; fi
touch "$3/usr/sbin/whole"
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package index that has another version each time, and an unpacking that fails the first time."""
    for name, script in (("apt-get", APT_GET), ("dpkg-deb", DPKG_DEB)):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(script)
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")


@pytest.mark.usefixtures("programs")
def test_an_unpacking_that_failed_is_done_again_from_the_beginning(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        tools.unpacked_debootstrap(tmp_path / "debootstrap")
    program = tools.unpacked_debootstrap(tmp_path / "debootstrap")
    assert program == tmp_path / "debootstrap" / "usr" / "sbin" / "debootstrap"
    assert program.with_name("whole").exists()


def test_a_file_that_was_not_written_whole_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        tools.write_whole(tmp_path / "stages.yaml", "a: \ud800")
    assert not (tmp_path / "stages.yaml").exists()
    tools.write_whole(tmp_path / "stages.yaml", "a: b")
    assert (tmp_path / "stages.yaml").read_text() == "a: b"
