"""What one queue of the portable front has done: counts that only grow, read as `front.QueueStats`.

Deliberately without a lock: the queue that owns the counts holds its own around every call.
"""

from collections import Counter

from services.runtime.errors import ServingError
from services.runtime.front import QueueSpec
from services.runtime.front_stats import CacheStats, QueueStats
from services.runtime.portable_batch import Answer
from services.runtime.time_counts import TimeCounts


class QueueCounts:
    """Everything that is told of a queue but how much waits in it now."""

    def __init__(self) -> None:
        self.last_request_unix_ms = 0
        self.in_flight_requests = 0
        self._succeeded = self._failed = self._answered_rows = 0
        self._batches_by_rows: Counter[int] = Counter()
        self._queue_time, self._compute_time = TimeCounts(), TimeCounts()

    def add_batch(self, rows: int, requests: int) -> None:
        """A batch of so many requests, or parts of such, was answered."""
        self.in_flight_requests -= requests
        self._answered_rows += rows
        self._batches_by_rows[rows] += 1

    def add_request(self, answer: Answer) -> None:
        """A request was answered in full."""
        if isinstance(answer.outcome, ServingError):
            self._failed += 1
        else:
            self._succeeded += 1
        self._queue_time.add(answer.queue_us)
        self._compute_time.add(answer.compute_us)

    def read(self, spec: QueueSpec, waiting_rows: int, cache: CacheStats | None) -> QueueStats:
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
            cache=cache,
        )
