"""A service whose stages are counted by their thread's CPU time, and not by the clock: on one CPU the front runs in the
middle of them. `python -m bench.cpu_service FLAG … KIND`, with the flags of `services.<KIND>`.
"""

import os
import sys
import time
from functools import partial
from importlib import import_module

from services.runtime import workers
from services.runtime.ending import end_process
from services.runtime.in_place import InPlace
from services.runtime.service import main
from services.runtime.stages import StageClock

if __name__ == "__main__":
    *flags, kind = sys.argv[1:]
    workers.StageClock = partial(StageClock, clock=time.thread_time_ns)  # type: ignore[assignment, attr-defined]
    workers.InPlace = partial(InPlace, clock=time.thread_time_ns)  # type: ignore[assignment, attr-defined]
    end_process(main(getattr(import_module(f"services.{kind}.__main__"), kind.upper()), flags, os.environ))
