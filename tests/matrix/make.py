"""`python -m tests.matrix.make MODULE FOLDER LIMIT_S NAME…`: make source models of one framework, in one process.

A framework takes seconds to start, so all cases of a group are made by one process. A case that takes longer than the
limit ends it: the cases after it are then missing, and the runner says so.
"""

import importlib
import signal
import sys
import traceback
from pathlib import Path

from tests.matrix.case import Made
from tests.matrix.folder import CaseFolder


def main(module: str, folder: Path, limit_s: int, names: list[str]) -> int:
    """The exit code: 1 where a maker failed, which is a fault of the matrix and not of the exporter."""
    makers = importlib.import_module(module)
    failed = False
    for name in names:
        target = folder / name
        target.mkdir(parents=True)
        signal.alarm(limit_s)
        try:
            made: Made = getattr(makers, name.replace("-", "_"))(target)
            CaseFolder(target).write(made, name)
        except Exception:  # noqa: BLE001 - one source that cannot be made must not take the others along
            failed = True
            sys.stderr.write(f"{name} cannot be made:\n{traceback.format_exc()}\n")
        signal.alarm(0)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))
