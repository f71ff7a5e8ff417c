"""Prometheus metrics of a service, read from the front when they are asked for: counting costs no request anything."""

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from argosy.v1.model_pb2 import ModelState, ModelStatus
from services.runtime.addresses import split_address
from services.runtime.front import FrontStats, Histogram, QueueStats

_LABELS = ("model", "version")


class ServiceMetrics(Collector):
    """Everything that a service counts, by model and version; times in seconds."""

    def __init__(
        self, stats: Callable[[], FrontStats], statuses: Callable[[], Sequence[ModelStatus]], front: str
    ) -> None:
        self._stats = stats
        self._statuses = statuses
        self._front = front

    def collect(self) -> Iterator[Metric]:
        stats = self._stats()
        yield from _counters(stats.queues)
        yield _histogram("argosy_queue_seconds", "Time a request waited", stats.queues, lambda q: q.queue_time)
        yield _histogram("argosy_compute_seconds", "Time from batch to answer", stats.queues, lambda q: q.compute_time)
        refusals = CounterMetricFamily("argosy_errors", "Requests answered with an error", labels=("reason",))
        for reason, count in sorted(stats.refusals.items()):
            refusals.add_metric((reason,), count)
        yield refusals
        ready = GaugeMetricFamily("argosy_model_ready", "1 where a model-version is ready", labels=_LABELS)
        for status in self._statuses():
            ready.add_metric((status.model, status.version), float(status.state == ModelState.MODEL_STATE_READY))
        yield ready
        front = GaugeMetricFamily("argosy_front_info", "The front that serves", labels=("front",))
        front.add_metric((self._front,), 1)
        yield front


def serve_metrics(address: str, collector: Collector) -> str:
    """Serve /metrics over HTTP; the address with the port that was given for 0. Raises OSError."""
    registry = CollectorRegistry()
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
        requests.add_metric((*labels, "succeeded"), queue.succeeded_requests)
        requests.add_metric((*labels, "failed"), queue.failed_requests)
        rows.add_metric(labels, queue.answered_rows)
        batches.add_metric(labels, sum(queue.batches_by_rows.values()))
        waiting.add_metric(labels, queue.waiting_rows)
        in_flight.add_metric(labels, queue.in_flight_requests)
    yield from (requests, rows, batches, waiting, in_flight)


def _histogram(name: str, text: str, queues: Sequence[QueueStats], of: Callable[[QueueStats], Histogram]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=_LABELS)
    for queue in queues:
        histogram = of(queue)
        total = 0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip((*histogram.bounds_us, None), histogram.counts, strict=True):
            total += count
            buckets.append(("+Inf" if bound is None else str(bound / 1e6), total))
        family.add_metric((queue.model, queue.version), buckets, histogram.sum_us / 1e6)
    return family
