"""Prometheus metrics of a service, read from the front when they are asked for: counting costs no request anything."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import TypeAlias

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from argosy.v1.model_pb2 import ModelState
from services.runtime.addresses import split_address
from services.runtime.front_stats import FrontStats, Histogram, QueueStats
from services.runtime.repository import ModelRepository
from services.runtime.stages import STAGES, StageStats

_LABELS = ("model", "version")

# In the order of STAGES.
_STAGE_TEXTS = (
    "Time that the oldest request of a batch waited for company, though a worker was free",
    "Time to decode, check and collate a batch",
    "Time that ONNX Runtime took",
    "Time to encode the answers of a batch",
)

# Upper bounds of a batch's rows.
_ROW_BOUNDS = tuple(1 << power for power in range(13))

# A histogram's labels, its counts a bound and the sum of what it counted.
_Series: TypeAlias = tuple[tuple[str, str], Sequence[tuple[float, int]], float]


class ServiceMetrics(Collector):
    """Everything that a service counts, by model and version; times in seconds."""

    def __init__(self, stats: Callable[[], FrontStats], repository: ModelRepository, front: str) -> None:
        self._stats = stats
        self._repository = repository
        self._front = front

    def collect(self) -> Iterator[Metric]:
        stats = self._stats()
        yield from _counters(stats.queues)
        yield from _caches(stats.queues)
        yield from _times(stats.queues, self._repository.stages())
        refusals = CounterMetricFamily("argosy_errors", "Requests answered with an error", labels=("reason",))
        for reason, count in sorted(stats.refusals.items()):
            refusals.add_metric((reason,), count)
        yield refusals
        yield from self._models()
        kept = GaugeMetricFamily("argosy_sequences", "Sequences whose state is kept", labels=_LABELS)
        for labels, number in self._repository.sequences().items():
            kept.add_metric(labels, number)
        yield kept
        front = GaugeMetricFamily("argosy_front_info", "The front that serves", labels=("front",))
        front.add_metric((self._front,), 1)
        yield front

    def _models(self) -> Iterator[Metric]:
        ready = GaugeMetricFamily("argosy_model_ready", "1 where a model-version is ready", labels=_LABELS)
        for status in self._repository.statuses():
            ready.add_metric((status.model, status.version), float(status.state == ModelState.MODEL_STATE_READY))
        yield ready
        text = "What the process grew by at the first load, at least the files' size; 0 while not in memory"
        memory = GaugeMetricFamily("argosy_model_memory_bytes", text, labels=_LABELS)
        for model, version, size_bytes in self._repository.memory():
            memory.add_metric((model, version), size_bytes)
        yield memory


def serve_metrics(address: str, *collectors: Collector) -> str:
    """Serve /metrics over HTTP; the address with the port that was given for 0. Raises OSError."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    host, port = split_address(address)
    server, _ = start_http_server(port, host, registry)
    return f"{host}:{server.server_port}"


def _counters(queues: Sequence[QueueStats]) -> Iterator[Metric]:
    requests = CounterMetricFamily("argosy_requests", "Requests answered", labels=(*_LABELS, "outcome"))
    rows = CounterMetricFamily("argosy_rows", "Rows answered", labels=_LABELS)
    batches = CounterMetricFamily("argosy_batches", "Batches run", labels=_LABELS)
    waiting = GaugeMetricFamily("argosy_waiting_rows", "Rows that wait", labels=_LABELS)
    in_flight = GaugeMetricFamily("argosy_running_requests", "Requests in running batches", labels=_LABELS)
    for queue in queues:
        labels = (queue.model, queue.version)
        kept = queue.cache.hits if queue.cache else 0
        requests.add_metric((*labels, "succeeded"), queue.succeeded_requests + kept)
        requests.add_metric((*labels, "failed"), queue.failed_requests)
        rows.add_metric(labels, queue.answered_rows)
        batches.add_metric(labels, sum(queue.batches_by_rows.values()))
        waiting.add_metric(labels, queue.waiting_rows)
        in_flight.add_metric(labels, queue.in_flight_requests)
    yield from (requests, rows, batches, _batch_sizes(queues), waiting, in_flight)


def _caches(queues: Sequence[QueueStats]) -> Iterator[Metric]:
    lookups = CounterMetricFamily("argosy_cache_lookups", "Requests looked for", labels=(*_LABELS, "outcome"))
    entries = GaugeMetricFamily("argosy_cache_entries", "Answers kept", labels=_LABELS)
    size = GaugeMetricFamily("argosy_cache_bytes", "What they take, with their keys", labels=_LABELS)
    for queue in queues:
        if (cache := queue.cache) is not None:
            labels = (queue.model, queue.version)
            lookups.add_metric((*labels, "hit"), cache.hits)
            lookups.add_metric((*labels, "miss"), cache.misses)
            entries.add_metric(labels, cache.entries)
            size.add_metric(labels, cache.size_bytes)
    yield from (lookups, entries, size)


def _times(queues: Sequence[QueueStats], stages: Sequence[StageStats]) -> Iterator[Metric]:
    """Each once a request: what it waited in the queue, what its batch took in all, and in each stage."""
    waited = [_series(queue, queue.queue_time) for queue in queues]
    yield _histogram("argosy_queue_seconds", "Time that a request waited", waited)
    taken = [_series(queue, queue.compute_time) for queue in queues]
    yield _histogram("argosy_batch_seconds", "Time from leaving the queue to the answer", taken)
    for stage, (name, text) in enumerate(zip(STAGES, _STAGE_TEXTS, strict=True)):
        spent = [_series(of_version, of_version.histograms[stage]) for of_version in stages]
        yield _histogram(f"argosy_{name}_seconds", text, spent)


def _batch_sizes(queues: Sequence[QueueStats]) -> Metric:
    sizes: list[_Series] = []
    for queue in queues:
        by_rows = queue.batches_by_rows
        up_to = [(float(bound), sum(n for rows, n in by_rows.items() if rows <= bound)) for bound in _ROW_BOUNDS]
        rows_in_all = sum(rows * n for rows, n in by_rows.items())
        sizes.append(((queue.model, queue.version), [*up_to, (math.inf, sum(by_rows.values()))], rows_in_all))
    return _histogram("argosy_batch_rows", "Rows of a batch", sizes)


def _series(of: QueueStats | StageStats, times: Histogram) -> _Series:
    bounds_s = [*(bound_us / 1e6 for bound_us in times.bounds_us), math.inf]
    return (of.model, of.version), list(zip(bounds_s, accumulate(times.counts), strict=True)), times.sum_us / 1e6


def _histogram(name: str, text: str, found: Sequence[_Series]) -> Metric:
    """Prometheus' counts are of everything up to a bound."""
    family = HistogramMetricFamily(name, text, labels=_LABELS)
    for labels, up_to, total in found:
        family.add_metric(
            labels, [("+Inf" if bound == math.inf else str(bound), count) for bound, count in up_to], total
        )
    return family
