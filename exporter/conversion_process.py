"""What runs in the process of one conversion: read the request, ask the source, convert, leave the result.

Nothing of Argosy is imported here but modules that need numpy and onnx alone, because the environment may be another
one. A refusal is written down as such; any other exception of a framework or of the user's code becomes one, and its
traceback goes to the log.
"""

import ctypes
import os
import resource
import signal
import sys
import traceback
from pathlib import Path

from exporter.arrays import Rows
from exporter.conversion import (
    Request,
    read_asked,
    read_request,
    write_conversion,
    write_refusal,
)
from exporter.conversion_folds import read_split, write_fold
from exporter.errors import ExportError, SourceError
from exporter.foreign import ran_out_of_memory, told
from exporter.sources.folds import folds
from exporter.sources.load import load
from exporter.sources.normalised import normalised
from exporter.sources.source import convert

_PR_SET_PDEATHSIG = 1


def main(folder: str, memory_bytes: int, parent: int) -> None:
    """Do what the request in `folder` asks for. What ran out of memory passes: the log tells the parent."""
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _end_with(parent)
    place = Path(folder)
    request, samples = read_request(place)
    try:
        _do(place, request, samples)
    except ExportError as error:
        traceback.print_exc()
        write_refusal(place, error)
    except Exception as error:  # frameworks, converters and the user's own code raise what they like
        traceback.print_exc()
        if isinstance(error, MemoryError) or ran_out_of_memory(str(error)):
            raise
        why = f"{type(error).__name__}: {told(error)}"
        write_refusal(place, SourceError(f"{request.source} cannot be converted ({why})"))
    sys.stdout.flush()
    sys.stderr.flush()
    # Some frameworks' threads crash while an interpreter is taken down; the result is on disk by now.
    os._exit(0)


def _do(place: Path, request: Request, samples: Rows) -> None:
    source, split = normalised(load(request, samples), request.normalisation), read_split(place)
    if split is None:
        write_conversion(place, convert(source, request, samples, read_asked(place, request)))
        return
    for number, fold in enumerate(folds(source, request, samples, split)):
        write_fold(place, number, fold)


def _end_with(parent: int) -> None:
    """An export that is killed takes its conversion with it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
