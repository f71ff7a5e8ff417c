"""The native front's figures, as plain as they cross from Rust, in the words of `front.py`."""

from typing import TYPE_CHECKING

from services.runtime.front_stats import CacheStats, Histogram, QueueStats

if TYPE_CHECKING:  # `native_front.py` alone imports it: only there is it known to be installed
    import argosy_front


def queue_stats(figures: "argosy_front.QueueFigures") -> QueueStats:
    """What one queue has done since it was opened."""
    return QueueStats(
        model=figures["model"],
        version=figures["version"],
        waiting_rows=figures["waiting_rows"],
        in_flight_requests=figures["in_flight_requests"],
        succeeded_requests=figures["succeeded_requests"],
        failed_requests=figures["failed_requests"],
        answered_rows=figures["answered_rows"],
        batches_by_rows=dict(figures["batches_by_rows"]),
        queue_time=_histogram(figures["queue_time"]),
        compute_time=_histogram(figures["compute_time"]),
        last_request_unix_ms=figures["last_request_unix_ms"],
        cache=None if figures["cache"] is None else CacheStats(*figures["cache"]),
    )


def _histogram(parts: "argosy_front.HistogramParts") -> Histogram:
    bounds_us, counts, sum_us = parts
    return Histogram(tuple(bounds_us), tuple(counts), sum_us)
