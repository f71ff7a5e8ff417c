"""How good a graph is, on rows whose answers are known: the exported file itself, not only its source."""

from dataclasses import dataclass

import numpy as np

from argosy.v1 import manifest_pb2 as pb
from evaluation import figures
from evaluation.classes import class_index
from exporter.arrays import Array, Rows
from exporter.errors import ManifestError
from exporter.labelled import Labelled
from exporter.run_graph import run_graph

# What a person is shown; the figures of single classes are in the manifest.
SHOWN = ("accuracy", "f1_macro", "roc_auc_macro", "mse", "mae", "r2")
_SCORES = {pb.OUTPUT_ROLE_PROBABILITIES, pb.OUTPUT_ROLE_LOGITS}


@dataclass(frozen=True, slots=True)
class Judged:
    """The figures, and for a classifier how many rows of each class were taken for each."""

    metrics: tuple[pb.Metric, ...]
    confusion: pb.ConfusionMatrix | None = None

    def keep(self, manifest: pb.ModelManifest) -> None:
        """Write both into the manifest, in place of what it has."""
        del manifest.metrics[:]
        manifest.metrics.extend(self.metrics)
        manifest.ClearField("confusion")
        if self.confusion is not None:
            manifest.confusion.CopyFrom(self.confusion)


def judged_output(manifest: pb.ModelManifest) -> pb.TensorSpec | None:
    """The output whose answers can be right or wrong: scores of classes, or a number. None: an embedding, boxes."""
    return next((spec for spec in manifest.outputs if spec.role in {*_SCORES, pb.OUTPUT_ROLE_VALUE}), None)


def judged(manifest: pb.ModelManifest, graph: bytes, labelled: Labelled) -> Judged:
    """The figures of a classifier or of predicted numbers.

    Raises ManifestError where the model has no output to be judged by, or an answer is no class.
    """
    output = _output(manifest)
    right, split = right_answers(manifest, labelled.truth), labelled.split
    answers = _answers(manifest, graph, labelled.rows)[output.name].reshape(len(right), -1)
    if output.role == pb.OUTPUT_ROLE_VALUE:
        return Judged(tuple(figures.regression(right, answers[:, 0].astype(np.float64), split)))
    scores = _probabilities(answers, output.role)
    chosen, labels = scores.argmax(axis=1), _labels(manifest, output)
    metrics = figures.classification(right, chosen, split, labels, probabilities=scores)
    return Judged(tuple(metrics), figures.confusion(right, chosen, len(labels), split))


def right_answers(manifest: pb.ModelManifest, truth: Array) -> Array:
    """[N]: the index of each class, given as an index or a label; numbers as they are. Raises ManifestError."""
    output, plain = _output(manifest), truth.reshape(len(truth), -1)[:, 0]
    if output.role == pb.OUTPUT_ROLE_VALUE:
        if plain.dtype.kind in "OUS":
            raise ManifestError(f"the right answers are texts, and '{manifest.name}' predicts a number")
        return plain.astype(np.float64)
    labels = _labels(manifest, output)
    return np.array([_class_of(answer, labels) for answer in plain.tolist()])


def _output(manifest: pb.ModelManifest) -> pb.TensorSpec:
    output = judged_output(manifest)
    if output is None:
        raise ManifestError(f"'{manifest.name}' has no output whose answers can be right or wrong: leave --target out")
    return output


def _labels(manifest: pb.ModelManifest, output: pb.TensorSpec) -> list[str]:
    return list(manifest.labels) or [str(index) for index in range(output.shape[-1])]


def _answers(manifest: pb.ModelManifest, graph: bytes, rows: Rows) -> dict[str, Array]:
    one_row = any(spec.shape and spec.shape[0] == 1 for spec in manifest.inputs)
    return run_graph(graph, rows, 1 if one_row else 256)


def _probabilities(scores: Array, role: pb.OutputRole.ValueType) -> Array:
    numbers = scores.astype(np.float64)
    if role == pb.OUTPUT_ROLE_PROBABILITIES:
        return numbers
    powers = np.exp(numbers - numbers.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _class_of(answer: object, labels: list[str]) -> int:
    if (found := class_index(answer, labels)) is not None:
        return found
    raise ManifestError(f"the right answer {answer!r} is no class of the model: {', '.join(labels[:8])}")
