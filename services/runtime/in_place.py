"""Batches that are answered where they lie: in a worker's own memory, bound once, and with nothing in them to look for.

Between two requests a service's caches go cold, so at one request in flight every function on a batch's way counts
(`python -m bench.microseconds`). This way has as few as can be, and every doubt goes the other, `instance.py`: a batch
that fails here is handed out as if it had not been tried, and told apart there.
"""

from collections.abc import Callable
from functools import partial
from time import perf_counter_ns

import structlog

from services.runtime.batch_buffers import BatchInPlace, BufferedRows
from services.runtime.faults import ENDINGS
from services.runtime.session import run_options
from services.runtime.version import Acquire

_log = structlog.get_logger()


class InPlace:
    """Of one worker: what answers its batches in place, and since when it has had none. `clock` counts nanoseconds."""

    def __init__(self, acquire: Acquire, clock: Callable[[], int] = perf_counter_ns) -> None:
        self._acquire, self._clock = acquire, clock
        self._free_ns = clock()
        self._renew()

    def batch_ended(self) -> None:
        """One that was answered elsewhere."""
        self._free_ns = self._clock()

    def waited_ns(self, longest_wait_us: int) -> int:
        """How long the batch that has just come waited for company while the worker had none."""
        return min(self._clock() - self._free_ns, longest_wait_us * 1000)

    def answer(self, batch: BatchInPlace, rows: BufferedRows, request_count: int, longest_wait_us: int) -> bool:
        answered = False
        waited_ns = self.waited_ns(longest_wait_us)
        try:
            version = self._acquire()
            runs = version.session.host_runs
            begun_ns = self._clock()
            # Where a caller is to be told anything, not here.
            if runs is not None and version.in_place and not version.check(rows):
                ready_ns = self._clock()
                batch.on_abandoned(self._end)
                runs.run(rows, self._options)
                run_ns = self._clock()
                settled = batch.reply_buffers()
                answered = True
                if not settled:
                    self._renew()
                self._free_ns = self._clock()
                spent_ns = (waited_ns, ready_ns - begun_ns, run_ns - ready_ns, self._free_ns - run_ns)
                version.stages.add(rows.row_count, request_count, spent_ns)
        except ENDINGS:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is happens again where it is told
            self._renew()
            if answered:
                _log.error("a batch that was answered is not counted", exc_info=error)
        if not answered:
            # What was tried is no wait for company.
            self._free_ns = self._clock() - waited_ns
        return answered

    def _renew(self) -> None:
        """Other options: those before may yet be told to end what runs with them."""
        self._options = run_options()
        self._end = partial(setattr, self._options, "terminate", True)
