"""Class scores to named categories, likeliest first: the same for images, texts and table rows.

Whether the model's numbers are probabilities or come before the softmax is the manifest's to say. Categories of equal
score keep the order of the output, so that an answer does not depend on what it was batched with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from argosy.v1.manifest_pb2 import OUTPUT_ROLE_LOGITS, OUTPUT_ROLE_PROBABILITIES, ModelManifest, TensorSpec
from argosy.v1.prediction_pb2 import Category
from services.runtime.front import Array
from services.runtime.specs import bad_manifest, output_spec

DEFAULT_TOP_K = 5


@dataclass(frozen=True, slots=True)
class ClassOutput:
    """The output of a classifier and the names of its classes; `labels` is empty where they have none."""

    name: str
    is_logits: bool
    labels: tuple[str, ...]

    def top(self, outputs: Mapping[str, Array], top_k: int) -> list[list[Category]]:
        """The `top_k` likeliest classes of each row (0: five), likeliest first."""
        scores = outputs[self.name].astype(np.float32, copy=False)
        probabilities = softmax(scores) if self.is_logits else scores
        return [self._ranked(row, top_k or DEFAULT_TOP_K) for row in probabilities]

    def every(self, outputs: Mapping[str, Array]) -> list[list[Category]]:
        """All classes of each row, likeliest first."""
        return self.top(outputs, outputs[self.name].shape[-1])

    def _ranked(self, row: NDArray[np.float32], top_k: int) -> list[Category]:
        order = np.argsort(-row, kind="stable")[:top_k]
        pairs = zip(order.tolist(), row[order].tolist(), strict=True)
        return [Category(label=label_of(self.labels, index), index=index, score=score) for index, score in pairs]


def class_output(manifest: ModelManifest) -> ClassOutput:
    """The manifest's class scores. Raises ServingError (REFUSED_LOAD) without such an output or with too few labels."""
    spec = output_spec(manifest, OUTPUT_ROLE_PROBABILITIES, OUTPUT_ROLE_LOGITS)
    return ClassOutput(spec.name, spec.role == OUTPUT_ROLE_LOGITS, class_labels(manifest, spec))


def class_labels(manifest: ModelManifest, spec: TensorSpec) -> tuple[str, ...]:
    """The names of the classes of the output `spec`, [..., classes], or none.

    Raises ServingError (REFUSED_LOAD) where there are more or fewer than classes.
    """
    class_count = spec.shape[-1] if spec.shape else -1
    if manifest.labels and class_count > 0 and len(manifest.labels) != class_count:
        raise bad_manifest(
            manifest, f"output '{spec.name}' has {class_count} classes, but there are {len(manifest.labels)} labels"
        )
    return tuple(manifest.labels)


def label_of(labels: Sequence[str], index: int) -> str:
    """The class's name; its index in decimal where it has none."""
    return labels[index] if 0 <= index < len(labels) else str(index)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Along the last axis. The largest is subtracted first, so that no exponential overflows."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: NDArray[np.float32] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return shares
