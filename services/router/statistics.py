"""Triton's model statistics of several endpoints, added up: the fleet's figures for each model-version. Pure."""

from collections.abc import Iterable

from google.protobuf.message import Message

from inference.grpc_service_pb2 import InferBatchStatistics, ModelStatistics, StatisticDuration


def added_up(reports: Iterable[ModelStatistics]) -> list[ModelStatistics]:
    """One entry a model-version: counts and times are sums, the last inference is the latest of all."""
    totals: dict[tuple[str, str], ModelStatistics] = {}
    for report in reports:
        total = totals.setdefault(
            (report.name, report.version), ModelStatistics(name=report.name, version=report.version)
        )
        _add(total, report)
    return [totals[key] for key in sorted(totals)]


def _add(total: ModelStatistics, report: ModelStatistics) -> None:
    total.last_inference = max(total.last_inference, report.last_inference)
    total.inference_count += report.inference_count
    total.execution_count += report.execution_count
    _add_durations(total.inference_stats, report.inference_stats)
    by_size = {batch.batch_size: batch for batch in total.batch_stats}
    for batch in report.batch_stats:
        if batch.batch_size in by_size:
            _add_durations(by_size[batch.batch_size], batch)
        else:
            total.batch_stats.append(InferBatchStatistics.FromString(batch.SerializeToString()))
    total.batch_stats.sort(key=lambda batch: batch.batch_size)
    total.memory_usage.extend(report.memory_usage)


def _add_durations(total: Message, report: Message) -> None:
    for field, value in report.ListFields():
        if isinstance(value, StatisticDuration):
            sum_of_both: StatisticDuration = getattr(total, field.name)
            sum_of_both.count += value.count
            sum_of_both.ns += value.ns
