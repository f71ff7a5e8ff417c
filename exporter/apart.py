"""Each conversion in a process of its own, under a time and a memory limit.

Converters leak state into the next conversion, hang, crash, fill the memory, end with status 0 beside an invalid file,
or need another protobuf than ours. So each runs in a process that is started for it, by this interpreter or by one of
another virtual environment, which has to have the framework, numpy and onnx, and nothing of Argosy. What it leaves in
its folder is read here and believed by nobody yet: `verify.py` loads and runs it.

The memory limit is on the private memory that a process asks for (RLIMIT_DATA on Linux): TensorFlow and PyTorch need
0.4 to 0.8 GiB of that before they do anything, and their address space says nothing.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from exporter.arrays import Rows
from exporter.conversion import Conversion, Request, read_conversion, write_request
from exporter.conversion_folds import Fold, Split, read_folds, write_split
from exporter.errors import SourceError
from exporter.foreign import ran_out_of_memory

# Puts this very package, and nothing else of this environment, where the other interpreter finds it.
_BOOTSTRAP = """
import importlib.util, sys
folder, request, memory_bytes, parent = sys.argv[1:]
spec = importlib.util.spec_from_file_location(
    "exporter", folder + "/__init__.py", submodule_search_locations=[folder]
)
sys.modules["exporter"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["exporter"])
from exporter.conversion_process import main
main(request, int(memory_bytes), int(parent))
"""
_LOG = "log.txt"
# On some processors oneDNN's fused layers answer NaN with a number, so that a source would have two answers to it.
_ENVIRONMENT = {"TF_ENABLE_ONEDNN_OPTS": "0"}
_LACKED = re.compile(r"^ModuleNotFoundError: No module named '([\w.]+)'")
_TOLD_LINES = 40


@dataclass(frozen=True, slots=True)
class Limits:
    """What a conversion may use. The defaults are several times what the largest reference model took."""

    timeout_s: float = 600.0
    memory_mib: int = 8192


@dataclass(frozen=True, slots=True)
class Apart:
    """How conversions run: their limits, and the interpreter of the environment that has the framework."""

    limits: Limits = field(default_factory=Limits)
    interpreter: str = sys.executable
    # Copy what the framework printed to standard error.
    show_log: bool = False


def convert_apart(request: Request, samples: Rows, apart: Apart, asked: Sequence[Rows] = ()) -> Conversion:
    """What the process made of the request. `asked` are the answers of the part before, where there is one.

    Raises SourceError where it was too slow, too large, died or left nothing, and whatever it refused with.
    """
    with _done(request, samples, None, apart, asked) as folder:
        return read_conversion(folder)


def folds_apart(request: Request, samples: Rows, split: Split, apart: Apart) -> list[Fold]:
    """The source fitted again for each fold. Raises as `convert_apart`."""
    with _done(request, samples, split, apart) as folder:
        return read_folds(folder, split.count())


@contextmanager
def _done(
    request: Request, samples: Rows, split: Split | None, apart: Apart, asked: Sequence[Rows] = ()
) -> Iterator[Path]:
    """The folder in which a process has left what it was asked for, as long as somebody reads it."""
    with tempfile.TemporaryDirectory(prefix="argosy-export-") as name:
        folder = Path(name)
        write_request(folder, request, samples, asked)
        if split is not None:
            write_split(folder, split)
        try:
            status = _run(folder, apart.limits, apart.interpreter)
            if status != 0:
                raise SourceError(_what_ended_it(status, folder / _LOG, apart))
            yield folder
        finally:
            if apart.show_log:
                sys.stderr.write("\n".join(_last_lines(folder / _LOG, _TOLD_LINES)) + "\n")


def _run(folder: Path, limits: Limits, interpreter: str) -> int:
    """The exit status; negative for a signal. The process and whatever it started are gone when this returns."""
    package = str(Path(__file__).resolve().parent)
    arguments = [package, str(folder), str(limits.memory_mib * 2**20), str(os.getpid())]
    with (folder / _LOG).open("wb") as log:
        try:
            process = subprocess.Popen(  # noqa: S603 - the interpreter is the user's to name
                [interpreter, "-P", "-c", _BOOTSTRAP, *arguments],
                env={**os.environ, **_ENVIRONMENT},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        except OSError as error:
            told = f"the interpreter {interpreter} cannot be started: {error.strerror}"
            raise SourceError(f"{told}: --python or exporter.yaml names it") from error
        try:
            return process.wait(limits.timeout_s)
        except subprocess.TimeoutExpired as error:
            raise SourceError(
                f"the conversion took longer than {limits.timeout_s:g} s and was ended: --timeout allows more"
            ) from error
        finally:
            _end_group(process)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):  # nothing of it is left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _what_ended_it(status: int, log: Path, apart: Apart) -> str:
    lines = _last_lines(log, _TOLD_LINES)
    if any(ran_out_of_memory(line) for line in lines):
        return f"the conversion needs more than {apart.limits.memory_mib} MiB of memory: --memory allows more"
    if any(line.startswith("unknown option -P") for line in lines):
        return f"the interpreter {apart.interpreter} is older than Python 3.11: a newer one is needed"
    # What the user's own code lacks is refused in the process: this is what the process itself does.
    if lines and (lacked := _LACKED.search(lines[-1])):
        needed = "it needs the framework, its converter, numpy and onnx"
        return f"the environment of {apart.interpreter} lacks {lacked[1]}: {needed}"
    said = f": {lines[-1][:200]}" if lines else ""
    if status < 0:
        return f"the converter died of {signal.Signals(-status).name}{said} (--traceback shows what it printed)"
    return f"the converter ended with status {status}{said} (--traceback shows what it printed)"


def _last_lines(log: Path, count: int) -> list[str]:
    with log.open(encoding="utf-8", errors="replace") as lines:
        return list(deque((line.rstrip() for line in lines if line.strip()), maxlen=count))
