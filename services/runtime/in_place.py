"""Batches that are answered where they lie: in a worker's own memory, bound once, and with nothing in them to look for.

Between two requests a service's caches go cold, so at one request in flight each function on the way costs a
microsecond, and a batch's way through `instance.py` has thirty of them. This way has as few as can be, and every doubt
goes the other: a batch that fails here is handed out as if it had not been tried, and told apart there.
"""

from functools import partial
from time import perf_counter_ns

from services.runtime.batch_buffers import BatchInPlace, BufferedRows
from services.runtime.session import run_options
from services.runtime.version import Acquire


class InPlace:
    """Of one worker: what answers its batches in place, and since when it has had none."""

    def __init__(self, acquire: Acquire) -> None:
        self._acquire = acquire
        self._free_ns = perf_counter_ns()
        self._renew()

    def has_none(self) -> None:
        """The worker has come to the end of a batch."""
        self._free_ns = perf_counter_ns()

    def waited_ns(self, longest_wait_us: int) -> int:
        """How long a batch has waited for company while the worker had none."""
        return min(perf_counter_ns() - self._free_ns, longest_wait_us * 1000)

    def answer(self, batch: BatchInPlace, rows: BufferedRows, request_count: int, longest_wait_us: int) -> bool:
        begun_ns = perf_counter_ns()
        try:
            version = self._acquire()
            runs = version.session.host_runs
            if runs is None or not version.in_place:
                return False
            batch.on_abandoned(self._end)
            version.check(rows)
            ready_ns = perf_counter_ns()
            runs.run(rows, self._options)
            run_ns = perf_counter_ns()
            settled = batch.reply_buffers()
        except Exception:  # noqa: BLE001 - whatever it is happens again where it is told
            self._renew()
            return False
        if not settled:
            self._renew()
        end_ns = perf_counter_ns()
        waited_ns = min(begun_ns - self._free_ns, longest_wait_us * 1000)
        spent_ns = (waited_ns, ready_ns - begun_ns, run_ns - ready_ns, end_ns - run_ns)
        version.stages.add(rows.row_count, request_count, spent_ns)
        self._free_ns = end_ns
        return True

    def _renew(self) -> None:
        """Other options: those before may yet be told to end what runs with them."""
        self._options = run_options()
        self._end = partial(setattr, self._options, "terminate", True)
