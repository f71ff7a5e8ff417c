"""Whether an answer is the one that the demo expects, and how it is shown: one small judge for each kind of answer."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from argosy.v1 import tabular_pb2, text_pb2, vision_pb2
from argosy.v1.prediction_pb2 import Embedding
from argosy_cli.questions import Result
from argosy_cli.show import result_lines


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the model said, in a few words, and whether that is right."""

    answer: str
    right: bool


Judge: TypeAlias = Callable[[Sequence[Result]], Verdict]


def labelled(*wanted: str) -> Judge:
    """The likeliest class of each input is the one wanted."""

    def judge(results: Sequence[Result]) -> Verdict:
        answer = ", ".join(result_lines(result)[0] for result in results)
        return Verdict(answer, [_top_label(result) for result in results] == list(wanted))

    return judge


def face_around(x: float, y: float) -> Judge:
    """Exactly one face, its box around the point, in pixels."""

    def judge(results: Sequence[Result]) -> Verdict:
        found = [d for r in results if isinstance(r, vision_pb2.ImageDetections) for d in r.detections]
        boxes = [d.box for d in found]
        inside = [box.left < x < box.right and box.top < y < box.bottom for box in boxes]
        return Verdict("; ".join(result_lines(result)[0] for result in results), inside == [True])

    return judge


def first_alike_then_not(alike: float, unlike: float) -> Judge:
    """Of three vectors the second is close to the first (cosine above `alike`), the third is not (below `unlike`)."""

    def judge(results: Sequence[Result]) -> Verdict:
        first, second, third = (_vector(result) for result in results)
        near, far = _cosine(first, second), _cosine(first, third)
        return Verdict(f"cosine {near:.2f} and {far:.2f}", near > alike and far < unlike)

    return judge


def vector_of(width: int) -> Judge:
    """One vector of so many numbers, not all zero."""

    def judge(results: Sequence[Result]) -> Verdict:
        vectors = [_vector(result) for result in results]
        right = all(len(vector) == width and any(vector) for vector in vectors)
        return Verdict("; ".join(result_lines(result)[0] for result in results), right)

    return judge


def tagged(token: str, label: str) -> Judge:
    """The token, and no other, gets a label that ends so."""

    def judge(results: Sequence[Result]) -> Verdict:
        tags = [tag for r in results if isinstance(r, text_pb2.TextTags) for tag in r.tags]
        labels = [tag.category.label for tag in tags if tag.token == token]
        right = len(labels) == 1 and labels[0].endswith(label)
        return Verdict("; ".join(result_lines(result)[0] for result in results), right)

    return judge


def near(value: float, tolerance: float) -> Judge:
    """One number, no further than `tolerance` from `value`."""

    def judge(results: Sequence[Result]) -> Verdict:
        quantities = [q for r in results if isinstance(r, tabular_pb2.RowPrediction) for q in r.quantities]
        answer = ", ".join(f"{q.name} {q.value:.1f} {q.unit}".rstrip() for q in quantities)
        return Verdict(
            f"{answer} (measured {value:g})", [abs(q.value - value) <= tolerance for q in quantities] == [True]
        )

    return judge


def _top_label(result: Result) -> str:
    match result:
        case vision_pb2.ImageClassification() | text_pb2.TextClassification() | tabular_pb2.RowPrediction():
            return result.categories[0].label if result.categories else ""
        case _:
            return ""


def _vector(result: Result) -> list[float]:
    match result:
        case Embedding():
            return list(result.values)
        case text_pb2.TextEmbedding():
            return list(result.embedding.values)
        case _:
            return []


def _cosine(first: Sequence[float], second: Sequence[float]) -> float:
    lengths = math.hypot(*first) * math.hypot(*second)
    return sum(a * b for a, b in zip(first, second, strict=True)) / lengths if lengths else 0.0
