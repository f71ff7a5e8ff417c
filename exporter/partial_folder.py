"""A folder beside the models in which a version is written, until it is moved into place.

An export may be killed at any moment, and the next one of the same version clears away what it left. Two may also write
the same version at once: each holds a lock on its own folder, which the kernel takes from it when it ends, so that only
a folder that nobody writes to any more is cleared away. Where the file system locks no folders, nothing is.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Begins with a dot: no model's name does, so no service reads a folder of this kind.
_PARTIAL = ".partial-"


@contextmanager
def partial_folder(models_dir: Path, name: str, version: str) -> Iterator[Path]:
    """A new folder in `models_dir`, deleted if the body raises; what killed exports of the version left is deleted."""
    # A model's name has no dot: '.partial-a.1.' begins no folder of another model or version.
    prefix = f"{_PARTIAL}{name}.{version}."
    for leftover in models_dir.glob(f"{prefix}*"):
        _delete_unless_held(leftover)
    partial, held = _held(prefix, models_dir)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    finally:
        os.close(held)


def _held(prefix: str, models_dir: Path) -> tuple[Path, int]:
    """A new folder and the descriptor that holds its lock."""
    while True:
        partial = Path(tempfile.mkdtemp(prefix=prefix, dir=models_dir))
        # Another export may take it for a leftover before it is locked: then there is another one.
        with suppress(FileNotFoundError):
            held = os.open(partial, os.O_RDONLY)
            with suppress(OSError):
                fcntl.flock(held, fcntl.LOCK_EX)
            if partial.exists():
                return partial, held
            os.close(held)


def _delete_unless_held(leftover: Path) -> None:
    with suppress(OSError):
        held = os.open(leftover, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(leftover, ignore_errors=True)
        finally:
            os.close(held)
