"""What the fleet answers, as frozen values: no protobuf beyond this module, vectors as numpy arrays.

Each value is read from one result of a reply; how many results a reply has is the questions' business.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from argosy.v1 import prediction_pb2, tabular_pb2, text_pb2, vision_pb2


@dataclass(frozen=True, slots=True)
class Category:
    """A class and its probability in [0, 1]; `index` is its place in the model's output."""

    label: str
    index: int
    score: float


@dataclass(frozen=True, slots=True)
class Classification:
    """The likeliest classes, likeliest first. `truncated`: the model did not read the end of the text."""

    categories: Sequence[Category]
    truncated: bool = False

    @property
    def label(self) -> str:
        return self.categories[0].label

    @property
    def score(self) -> float:
        return self.categories[0].score


@dataclass(frozen=True, slots=True)
class Detection:
    """An object: its box (left, top, right, bottom) and landmarks (x, y), in pixels of the image."""

    category: Category
    box: tuple[float, float, float, float]
    landmarks: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Detections:
    """The objects of an image, surest first, and the image's size in pixels after EXIF orientation."""

    objects: Sequence[Detection]
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Token:
    """A labelled part of a text: from code point `start` up to, not including, `end`."""

    text: str
    start: int
    end: int
    category: Category


@dataclass(frozen=True, slots=True)
class TaggedText:
    """The tokens of a text in their order. `truncated`: the model did not read the end of the text."""

    tokens: Sequence[Token]
    truncated: bool


@dataclass(frozen=True, slots=True)
class Row:
    """What is predicted of a row: classes, likeliest first, or numbers by name, in the units that the model states."""

    categories: Sequence[Category]
    quantities: Mapping[str, float]
    imputed_columns: Sequence[str]

    @property
    def label(self) -> str:
        """The likeliest class. Raises IndexError for a regression."""
        return self.categories[0].label

    @property
    def value(self) -> float:
        """The number of a regression with one output. Raises ValueError for anything else."""
        (value,) = self.quantities.values()
        return value


def image_classification(result: vision_pb2.ImageClassification) -> Classification:
    return Classification(_categories(result.categories))


def text_classification(result: text_pb2.TextClassification) -> Classification:
    return Classification(_categories(result.categories), result.reading.truncated)


def detections(result: vision_pb2.ImageDetections) -> Detections:
    return Detections([_detection(found) for found in result.detections], result.width, result.height)


def tagged_text(result: text_pb2.TextTags) -> TaggedText:
    tokens = [Token(tag.token, tag.start, tag.end, _category(tag.category)) for tag in result.tags]
    return TaggedText(tokens, result.reading.truncated)


def vector(embedding: prediction_pb2.Embedding) -> NDArray[np.float32]:
    """float32[width]."""
    return np.array(embedding.values, np.float32)


def matrix(vectors: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """float32[vectors, width]; [0, 0] for none."""
    rows = list(vectors)
    return np.stack(rows) if rows else np.empty((0, 0), np.float32)


def text_vector(result: text_pb2.TextEmbedding) -> NDArray[np.float32]:
    """float32[width]."""
    return vector(result.embedding)


def row(result: tabular_pb2.RowPrediction) -> Row:
    quantities = {quantity.name: quantity.value for quantity in result.quantities}
    return Row(_categories(result.categories), quantities, list(result.imputed_columns))


def _detection(found: vision_pb2.Detection) -> Detection:
    box = (found.box.left, found.box.top, found.box.right, found.box.bottom)
    return Detection(_category(found.category), box, [(point.x, point.y) for point in found.landmarks])


def _categories(categories: "Sequence[prediction_pb2.Category]") -> list[Category]:
    return [_category(category) for category in categories]


def _category(category: prediction_pb2.Category) -> Category:
    return Category(category.label, category.index, category.score)
