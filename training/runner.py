"""Brings the reference models up to date: trains those that are missing or whose sources have changed, two at a time.

Each is trained by `worker.py` in a process of its own; its standard error is kept in a log. This module knows
processes, fingerprints and time, and deliberately no framework and no screen: `__main__.py` shows what is reported
here.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from training.catalog import REFERENCE_MODELS
from training.fingerprint import alone, published_with, remember, source_fingerprint
from training.worker import Says

JOBS = 2
_ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one model: published or kept in `version_dir`, or failed with a sentence that says why."""

    name: str
    version_dir: Path | None
    seconds: float = 0.0
    trained: bool = False
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Folders:
    """Where models are published, and where downloads, logs and fingerprints are kept."""

    models_dir: Path
    cache_dir: Path

    def log(self, name: str) -> Path:
        return self.cache_dir / "logs" / f"{name}.log"

    def record(self, name: str) -> Path:
        return self.cache_dir / "fingerprints" / name

    def lock(self, name: str) -> Path:
        return self.cache_dir / "locks" / name


Report = Callable[[str, str], None]


def bring_up_to_date(
    names: Sequence[str], folders: Folders, environment: Mapping[str, str], report: Report
) -> list[Outcome]:
    """Outcomes in the order of `names`. `report(name, doing)` is called from several threads, '' when one has ended."""
    running: list[subprocess.Popen[str]] = []
    with ThreadPoolExecutor(JOBS) as pool:
        try:
            waiting = [pool.submit(_one, name, folders, environment, report, running) for name in names]
            return [future.result() for future in waiting]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in running:
                process.terminate()
            raise


def _one(
    name: str, folders: Folders, environment: Mapping[str, str], report: Report, running: list[subprocess.Popen[str]]
) -> Outcome:
    with alone(folders.lock(name)):
        return _alone(name, folders, environment, report, running)


def _alone(
    name: str, folders: Folders, environment: Mapping[str, str], report: Report, running: list[subprocess.Popen[str]]
) -> Outcome:
    fingerprint = source_fingerprint(REFERENCE_MODELS[name], _ROOT)
    kept = published_with(folders.record(name), fingerprint, folders.models_dir / name)
    if kept is not None:
        report(name, "")
        return Outcome(name, kept)
    began = time.monotonic()
    report(name, "starting")
    version_dir, failure = _train(name, folders, environment, report, running)
    report(name, "")
    if version_dir is not None:
        remember(folders.record(name), fingerprint, version_dir)
    return Outcome(name, version_dir, time.monotonic() - began, trained=True, failure=failure)


def _train(
    name: str, folders: Folders, environment: Mapping[str, str], report: Report, running: list[subprocess.Popen[str]]
) -> tuple[Path | None, str]:
    """The folder that was published, or why there is none."""
    command = [sys.executable, "-m", "training.worker", name, str(folders.models_dir), str(folders.cache_dir)]
    log = folders.log(name)
    log.parent.mkdir(parents=True, exist_ok=True)
    version_dir = None
    with (
        log.open("w") as errors,
        subprocess.Popen(  # noqa: S603 - our own program, no shell
            command, stdout=subprocess.PIPE, stderr=errors, env=dict(environment), text=True
        ) as process,
    ):
        running.append(process)
        for line in process.stdout or ():
            word, _, text = line.rstrip("\n").partition(" ")
            if word == Says.DOING:
                report(name, text)
            elif word == Says.PUBLISHED:
                version_dir = Path(text)
    if process.returncode == 0 and version_dir is not None:
        return version_dir, ""
    return None, _failure(log, process.returncode)


def _failure(log: Path, return_code: int) -> str:
    """The last line of what the process said, less the module that an exception's class is from."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    last = lines[-1].strip() if lines else "nothing was said"
    kind, colon, text = last.partition(": ")
    words = f"{kind.rsplit('.', 1)[-1]}{colon}{text}" if " " not in kind else last
    return f"{words[:400]} (exit status {return_code}, details in {log})"
