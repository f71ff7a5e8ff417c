"""A histogram of durations that is being filled, read as `front.Histogram`.

Deliberately without a lock: whoever owns one holds its own around every call.
"""

from bisect import bisect_left

from services.runtime.front_stats import Histogram

BOUNDS_US = (
    *(100, 250, 500),
    *(1_000, 2_500, 5_000),
    *(10_000, 25_000, 50_000),
    *(100_000, 250_000, 500_000),
    *(1_000_000, 5_000_000),
)


class TimeCounts:
    """Counts by upper bound; a duration at a bound counts below it."""

    def __init__(self, bounds_us: tuple[int, ...] = BOUNDS_US) -> None:
        self._bounds_us = bounds_us
        self._counts = [0] * (len(bounds_us) + 1)
        self._sum_us = 0.0

    def add(self, duration_us: float, times: int = 1) -> None:
        self._counts[bisect_left(self._bounds_us, duration_us)] += times
        self._sum_us += duration_us * times

    def read(self) -> Histogram:
        return Histogram(self._bounds_us, tuple(self._counts), int(self._sum_us))
