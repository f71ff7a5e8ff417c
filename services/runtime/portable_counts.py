"""What one queue of the portable front has done: counts that only grow, read as `front.QueueStats`.

Deliberately without a lock: the queue that owns the counts holds its own around every call.
"""

from bisect import bisect_left
from collections import Counter

from services.runtime.front import Histogram, QueueSpec, QueueStats

BOUNDS_US = (
    *(100, 250, 500),
    *(1_000, 2_500, 5_000),
    *(10_000, 25_000, 50_000),
    *(100_000, 250_000, 500_000),
    *(1_000_000, 5_000_000),
)


class TimeCounts:
    """A histogram that is being filled."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_US) + 1)
        self._sum_us = 0

    def add(self, duration_us: int, times: int = 1) -> None:
        self._counts[bisect_left(BOUNDS_US, duration_us)] += times
        self._sum_us += duration_us * times

    def read(self) -> Histogram:
        return Histogram(BOUNDS_US, tuple(self._counts), self._sum_us)


class QueueCounts:
    """Everything that is told of a queue but how much waits in it now."""

    def __init__(self) -> None:
        self.last_request_unix_ms = 0
        self.in_flight_requests = 0
        self._succeeded = self._failed = self._answered_rows = 0
        self._batches_by_rows: Counter[int] = Counter()
        self._queue_time, self._compute_time = TimeCounts(), TimeCounts()

    def add_batch(self, rows: int, queue_us: list[int], compute_us: int, failures: int) -> None:
        """A batch was answered; `queue_us` has one entry a request."""
        self.in_flight_requests -= len(queue_us)
        self._failed += failures
        self._succeeded += len(queue_us) - failures
        self._answered_rows += rows
        self._batches_by_rows[rows] += 1
        self._compute_time.add(compute_us, times=len(queue_us))
        for duration_us in queue_us:
            self._queue_time.add(duration_us)

    def read(self, spec: QueueSpec, waiting_rows: int) -> QueueStats:
        return QueueStats(
            model=spec.model,
            version=spec.version,
            waiting_rows=waiting_rows,
            in_flight_requests=self.in_flight_requests,
            succeeded_requests=self._succeeded,
            failed_requests=self._failed,
            answered_rows=self._answered_rows,
            batches_by_rows=dict(self._batches_by_rows),
            queue_time=self._queue_time.read(),
            compute_time=self._compute_time.read(),
            last_request_unix_ms=self.last_request_unix_ms,
        )
