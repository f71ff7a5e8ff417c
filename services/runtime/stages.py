"""Where a batch's time goes once it has left the queue: what a front cannot see, since it happens in the worker.

The worker holds a `StageClock` a batch, but for those that it answers in place, and ends each stage as it comes to its
end; a version's `StageCounts` adds them up, in histograms and by batch size as Triton tells them. A batch's time counts
once for each of its requests, each of which has waited all of it. A batch that failed counts with the stages that it
came to.

Filling four histograms takes 4 µs, which is too much beside a small model: a batch is only noted, and notes are added
up many at a time, with numpy.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.runtime.front_stats import Histogram
from services.runtime.time_counts import BOUNDS_US

# In the order in which a batch comes to them. A stage is its place in this list, and no enum: naming an enum's member
# costs as much as the reading of the clock. The wait is for company, while a worker was free; then decode, check and
# collate; ONNX Runtime; encode, and hand to the front.
STAGES = ("batch_wait", "preprocess", "compute", "postprocess")
BATCH_WAIT, PREPROCESS, COMPUTE, POSTPROCESS = range(len(STAGES))

# A small model's stages take some microseconds.
STAGE_BOUNDS_US = (5, 10, 25, 50, *BOUNDS_US)

_BOUNDS_NS = np.array(STAGE_BOUNDS_US, np.int64) * 1000
_MAX_NOTES = 1024


class StageClock:
    """One batch's way through the stages. Begun where its preprocessing begins; `clock` counts nanoseconds."""

    __slots__ = ("_clock", "_last_ns", "spent_ns")

    def __init__(self, batch_wait_ns: int, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        self._clock = clock
        self.spent_ns = [batch_wait_ns, 0, 0, 0]
        self._last_ns = clock()

    def end(self, stage: int) -> None:
        """What has passed since the last stage ended was spent on this one."""
        now_ns = self._clock()
        self.spent_ns[stage] += now_ns - self._last_ns
        self._last_ns = now_ns


@dataclass(frozen=True, slots=True)
class BatchTotals:
    """All batches of one size: how many there were, and the nanoseconds of each stage."""

    batches: int
    spent_ns: Sequence[int]


@dataclass(frozen=True, slots=True)
class StageStats:
    """What the workers of a model-version have spent since it was loaded: by stage, and by the batch's size."""

    model: str
    version: str
    histograms: Sequence[Histogram]
    by_rows: Mapping[int, BatchTotals]


class StageCounts:
    """Of one model-version. Any thread may add and read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Appended to and taken from without the lock: either is one step of the interpreter.
        self._notes: deque[tuple[int, int, Sequence[int]]] = deque()
        self._counts = np.zeros((len(STAGES), len(_BOUNDS_NS) + 1), np.int64)
        self._sums_ns = np.zeros(len(STAGES), np.int64)
        self._by_rows: dict[int, NDArray[np.int64]] = {}

    def add(self, rows: int, requests: int, spent_ns: Sequence[int]) -> None:
        """A batch of so many rows in so many requests has come to its end, with so much spent on each stage."""
        self._notes.append((rows, requests, spent_ns))
        if len(self._notes) >= _MAX_NOTES:
            with self._lock:
                self._add_up()

    def read(self, model: str, version: str) -> StageStats:
        with self._lock:
            self._add_up()
            counts, sums_us = self._counts.tolist(), (self._sums_ns // 1000).tolist()
            totals = {rows: total.tolist() for rows, total in sorted(self._by_rows.items())}
        return StageStats(
            model,
            version,
            [Histogram(STAGE_BOUNDS_US, tuple(counts[stage]), sums_us[stage]) for stage in range(len(STAGES))],
            {rows: BatchTotals(batches, spent_ns) for rows, (batches, *spent_ns) in totals.items()},
        )

    def _add_up(self) -> None:
        taken = [self._notes.popleft() for _ in range(len(self._notes))]
        if not taken:
            return
        notes = np.array([(rows, requests, *spent_ns) for rows, requests, spent_ns in taken], np.int64)
        rows, requests, spent_ns = notes[:, 0], notes[:, 1], notes[:, 2:]
        self._sums_ns += requests @ spent_ns
        buckets = np.searchsorted(_BOUNDS_NS, spent_ns)
        for stage in range(len(STAGES)):
            np.add.at(self._counts[stage], buckets[:, stage], requests)
        for size in np.unique(rows).tolist():
            of_size = spent_ns[rows == size]
            total = np.array([len(of_size), *of_size.sum(axis=0)])
            self._by_rows[size] = self._by_rows.get(size, 0) + total
