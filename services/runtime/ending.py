"""How a process ends once it has drained: at once, without finalising the interpreter.

Finalising ends every thread that comes back to Python by force. A worker that returns from the native front, or a load
that returns from ONNX Runtime, is unwound through frames that are not Python's, and that aborts the process: the exit
code would be SIGABRT's. Where the log's disk is full, and a line of it is left, the code would be 120. Nothing is left
to be done then: what was accepted is answered and the logs are written.
"""

import os
import sys
from contextlib import suppress
from typing import NoReturn


def end_process(code: int) -> NoReturn:
    """Write out what is buffered, and end with `code`."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)
