"""Peers from packages: an environment of its own for each under `.cache/peers/`, every version pinned in a file here.

What is installed is not installed again until its file changes; an environment that was left half-made is begun anew.
A peer that cannot be set up on a machine is told with the installer's own reason, and the benchmark goes on without it.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from tests.e2e.harness import ROOT

PEERS = ROOT / ".cache" / "peers"
TIMEOUT_S = 900


class PeerUnavailableError(Exception):
    """The peer cannot run here; the text is one line that says why."""


def environment(name: str) -> Path:
    """The folder of the peer's environment, made where it is not there. Raises PeerUnavailableError."""
    requirements = Path(__file__).with_name(f"{name}.txt")
    folder, wanted = PEERS / name, hashlib.sha256(requirements.read_bytes()).hexdigest()
    mark = folder / "installed"
    if mark.is_file() and mark.read_text(encoding="utf-8") == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    _run(sys.executable, "-m", "venv", str(folder))
    # The files are complete: what they leave out (pytriton's web server, say) is not wanted.
    quiet = ("--quiet", "--disable-pip-version-check", "--no-deps")
    _run(str(folder / "bin" / "python"), "-m", "pip", "install", *quiet, "-r", str(requirements))
    mark.write_text(wanted, encoding="utf-8")
    return folder


def site_packages(folder: Path) -> Path:
    """Where the environment keeps its packages."""
    return next(folder.glob("lib/python*/site-packages"))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    if done.returncode != 0:
        told = (done.stderr.strip() or done.stdout.strip() or "nothing was said").splitlines()[-1]
        raise PeerUnavailableError(f"cannot be installed: {told}")
