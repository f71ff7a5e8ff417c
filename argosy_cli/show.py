"""How answers look: a few short lines for a person, a plain dictionary for a program.

A person wants the likeliest class, the size of a vector, the place of a face; `--json` has everything, named as in the
protos. Nothing here calls the fleet.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from argosy.v1 import tabular_pb2, text_pb2, vision_pb2
from argosy.v1.prediction_pb2 import Category, Embedding
from argosy_cli.client import Timing
from argosy_cli.questions import Result

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

# A grammar model's word for "leave this token as it is"; taggers with an outside class call it O.
_UNREMARKABLE_TAGS = frozenset({"O", "$KEEP", "KEEP"})


def result_lines(result: Result) -> list[str]:  # noqa: PLR0911 - one return a kind of result
    """What the model said, likeliest or surest first."""
    match result:
        case vision_pb2.ImageClassification():
            return _categories(result.categories)
        case text_pb2.TextClassification():
            return _categories(result.categories) + _cut(result.reading)
        case vision_pb2.ImageDetections():
            return [_detection(detection) for detection in result.detections] or ["nothing found"]
        case Embedding():
            return [_vector(result.values)]
        case text_pb2.TextEmbedding():
            return [_vector(result.embedding.values), *_cut(result.reading)]
        case text_pb2.TextTags():
            return [_tags(result.tags), *_cut(result.reading)]
        case tabular_pb2.RowPrediction():
            return _row(result)


def timing_text(timing: Timing) -> str:
    """One line: what the caller waited, and what the service says it did meanwhile."""
    parts = [f"{timing.latency_ms:.1f} ms"]
    if timing.queue_us is not None and timing.compute_us is not None:
        parts.append(f"queued {timing.queue_us} µs, computed {timing.compute_us} µs")
    if timing.batch_rows is not None:
        parts.append(f"in a batch of {timing.batch_rows}")
    if timing.device:
        parts.append(f"on {timing.device}")
    return " · ".join(parts)


def as_json(message: Message) -> dict[str, Json]:
    """The message in protobuf's JSON mapping, its fields named as in the .proto file, zeros included."""
    return dict(MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True))


def timing_json(timing: Timing) -> dict[str, Json]:
    """The trailers' figures; null where the reply did not state one."""
    return {
        "latency_ms": round(timing.latency_ms, 3),
        "queue_us": timing.queue_us,
        "compute_us": timing.compute_us,
        "batch_rows": timing.batch_rows,
        "device": timing.device,
    }


def shortened(text: str, width: int = 48) -> str:
    """The text on one line of at most `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def table_row_text(values: Mapping[str, object], width: int = 48) -> str:
    """A row as its first columns."""
    return shortened(", ".join(f"{name}={_plain(value)}" for name, value in values.items()), width)


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _categories(categories: Iterable[Category]) -> list[str]:
    return [f"{category.label} {category.score:.2f}" for category in categories] or ["no class"]


def _detection(detection: vision_pb2.Detection) -> str:
    box = detection.box
    place = f"({box.left:.0f}, {box.top:.0f}) to ({box.right:.0f}, {box.bottom:.0f})"
    return f"{detection.category.label or 'object'} {detection.category.score:.2f} at {place}"


def _vector(values: Iterable[float]) -> str:
    numbers = list(values)
    head = ", ".join(f"{value:.3f}" for value in numbers[:3])
    return f"{len(numbers)} numbers: {head}, …"


def _tags(tags: Iterable[text_pb2.Tag]) -> str:
    remarkable = [tag for tag in tags if tag.category.label not in _UNREMARKABLE_TAGS]
    return (
        ", ".join(f"{tag.token} → {tag.category.label} {tag.category.score:.2f}" for tag in remarkable) or "no remark"
    )


def _row(result: tabular_pb2.RowPrediction) -> list[str]:
    lines = _categories(result.categories) if result.categories else []
    lines += [f"{quantity.name} {quantity.value:.1f} {quantity.unit}".rstrip() for quantity in result.quantities]
    if result.imputed_columns:
        lines.append(f"filled in by the model: {', '.join(result.imputed_columns)}")
    return lines or ["no answer"]


def _cut(reading: text_pb2.TextReading) -> list[str]:
    return [f"cut after {reading.token_count} tokens"] if reading.truncated else []
