"""How good a graph is, on rows whose answers are known: the exported file itself, not only its source."""

import numpy as np

from argosy.v1 import manifest_pb2 as pb
from evaluation import figures
from exporter.arrays import Array, Rows
from exporter.errors import ManifestError
from exporter.manifest import CLASS_ROLES
from exporter.run_graph import run_graph


def judged(manifest: pb.ModelManifest, graph: bytes, rows: Rows, truth: Array, split: str) -> list[pb.Metric]:
    """The figures of a classifier or of predicted numbers; `truth` [N] holds class indices, labels or numbers.

    Raises ManifestError where the model has no output to be judged by, or an answer is no class.
    """
    one_row = any(spec.shape and spec.shape[0] == 1 for spec in manifest.inputs)
    answers = run_graph(graph, rows, 1 if one_row else 256)
    right = truth.reshape(len(truth), -1)[:, 0]
    for output in manifest.outputs:
        if output.role in CLASS_ROLES and answers[output.name].ndim == 2:
            scores = _probabilities(answers[output.name], output.role)
            labels = list(manifest.labels) or [str(index) for index in range(scores.shape[1])]
            classes = np.array([_class_of(answer, labels) for answer in right.tolist()])
            return figures.classification(classes, scores.argmax(axis=1), split, labels, probabilities=scores)
        if output.role == pb.OUTPUT_ROLE_VALUE:
            numbers = answers[output.name].reshape(len(right), -1)[:, 0]
            return figures.regression(right.astype(np.float64), numbers.astype(np.float64), split)
    raise ManifestError(f"'{manifest.name}' has no output whose answers can be right or wrong: leave --target out")


def _probabilities(scores: Array, role: pb.OutputRole.ValueType) -> Array:
    numbers = scores.astype(np.float64)
    if role == pb.OUTPUT_ROLE_PROBABILITIES:
        return numbers
    powers = np.exp(numbers - numbers.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _class_of(answer: object, labels: list[str]) -> int:
    if str(answer) in labels:
        return labels.index(str(answer))
    if isinstance(answer, int | float) and float(answer).is_integer() and 0 <= answer < len(labels):
        return int(answer)
    raise ManifestError(f"the right answer {answer!r} is no class of the model: {', '.join(labels[:8])}")
