"""What one queue of the portable front has done: counts that only grow, read as `front.QueueStats`.

Deliberately without a lock: the queue that owns the counts holds its own around every call.
"""

from collections import Counter

from services.runtime.front import QueueSpec, QueueStats
from services.runtime.time_counts import TimeCounts


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
