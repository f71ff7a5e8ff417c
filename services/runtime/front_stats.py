"""What a front tells of what it has done: counts that only grow, and what waits now."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of microseconds by upper bound; the last count is of everything above the last bound."""

    bounds_us: tuple[int, ...]
    counts: tuple[int, ...]
    sum_us: int


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What the cache of one queue has done since it was opened, and what it holds now."""

    hits: int
    misses: int
    hit_us: int  # from the arrivals of the hits to their answers
    entries: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class QueueStats:
    """What one queue has done since it was opened."""

    model: str
    version: str
    waiting_rows: int
    in_flight_requests: int
    succeeded_requests: int
    failed_requests: int
    answered_rows: int
    batches_by_rows: Mapping[int, int]
    queue_time: Histogram
    compute_time: Histogram
    last_request_unix_ms: int
    cache: CacheStats | None = None  # requests that it answered are in none of the other counts


@dataclass(frozen=True, slots=True)
class FrontStats:
    """What a front has done since it began to serve. `refusals` counts errors by ErrorInfo reason."""

    queues: tuple[QueueStats, ...]
    refusals: Mapping[str, int] = field(default_factory=dict)
