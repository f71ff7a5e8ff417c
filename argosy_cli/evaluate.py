"""`argosy evaluate`: a served model asked about data whose answers are known, and how often it was right.

It is asked as any caller asks, over gRPC by the typed API (tensors: by ModelInfer), so what is measured is the model
with its preprocessing, as it is served. The figures that the manifest keeps stand beside: they need not agree, where
the data are not the same.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from argosy.v1 import manifest_pb2 as pb
from argosy_cli.client import Fleet
from argosy_cli.errors import misuse
from argosy_cli.labelled import Labelled, read_labelled
from argosy_cli.show import as_json
from argosy_client import ArgosyError
from argosy_client.answers import Category
from argosy_client.tensors import Array
from evaluation import figures, plots
from evaluation.classes import class_index

# A call of this many rows of tensors stays under the message limit for images of 224 × 224.
_TENSOR_ROWS = 32
# More than any model has: the service answers as many as there are.
_EVERY_CLASS = 100_000
_CLASSIFIES = frozenset((pb.TASK_IMAGE_CLASSIFICATION, pb.TASK_TEXT_CLASSIFICATION, pb.TASK_TABULAR_CLASSIFICATION))
# What a table for a person shows: the figures of single classes and the micro means, which are the accuracy, are in
# --json.
_SHOWN = ("accuracy", "precision_macro", "recall_macro", "f1_macro", "f1_micro", "roc_auc_macro", "mse", "mae", "r2")
_MOST_CLASSES_SHOWN = 30


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured of one model-version; the confusion matrix and the scores of a classifier alone."""

    manifest: pb.ModelManifest
    metrics: Sequence[pb.Metric]
    labels: Sequence[str] = ()
    confusion: pb.ConfusionMatrix | None = None
    truth: NDArray[np.int64] | None = None
    scores: NDArray[np.float64] | None = None


def evaluate(fleet: Fleet, model: str, version: str, data: Path, target: str) -> Evaluation:
    """Ask the model about everything in `data`. Raises CliError."""
    manifest = fleet.manifest(model, version)
    classifies = bool(_CLASSIFIES & set(manifest.tasks))
    if not classifies and pb.TASK_TABULAR_REGRESSION not in manifest.tasks:
        raise misuse(f"'{model}' neither classifies nor predicts numbers: it has no right answers to be compared with")
    labelled = read_labelled(manifest, data, target)
    try:
        if classifies:
            return _classification(manifest, labelled, _Asking(fleet, manifest), data.name)
        return _regression(manifest, labelled, _Asking(fleet, manifest), data.name)
    except ArgosyError as error:
        raise fleet.problem(error) from None


def _classification(manifest: pb.ModelManifest, labelled: Labelled, asking: "_Asking", split: str) -> Evaluation:
    scores = asking.scores(labelled)
    labels = list(manifest.labels) or [str(index) for index in range(scores.shape[1])]
    truth = np.array([_class_of(answer, labels, row) for row, answer in enumerate(labelled.answers, 1)])
    predicted = scores.argmax(axis=1)
    metrics = figures.classification(truth, predicted, split, labels, probabilities=scores)
    matrix = figures.confusion(truth, predicted, len(labels), split)
    return Evaluation(manifest, metrics, labels, matrix, truth, scores)


def _class_of(answer: str, labels: Sequence[str], row: int) -> int:
    if (found := class_index(answer, labels)) is not None:
        return found
    shown = ", ".join(labels[:8]) + (" …" if len(labels) > 8 else "")
    raise misuse(f"row {row}: '{answer}' is no class of the model, whose classes are {shown}")


def _regression(manifest: pb.ModelManifest, labelled: Labelled, asking: "_Asking", split: str) -> Evaluation:
    truth = np.array([_number(answer, row) for row, answer in enumerate(labelled.answers, 1)])
    return Evaluation(manifest, figures.regression(truth, asking.values(labelled), split))


def _number(answer: str, row: int) -> float:
    try:
        return float(answer)
    except ValueError:
        raise misuse(f"row {row}: the right answer is a number, got '{answer}'") from None


@dataclass(frozen=True, slots=True)
class _Asking:
    """The model's answers, in the order of the inputs."""

    fleet: Fleet
    manifest: pb.ModelManifest

    def scores(self, labelled: Labelled) -> NDArray[np.float64]:
        """Probability of each class: [N, classes]."""
        if labelled.tensors is not None:
            return self._tensor_scores(labelled.tensors)
        client, model, version = self.fleet.client, self.manifest.name, self.manifest.version
        every = len(self.manifest.labels) or _EVERY_CLASS
        if labelled.images:
            answers = client.vision(model, version).classify_all(labelled.images, top_k=every)
            return _matrix([answer.categories for answer in answers], len(self.manifest.labels))
        if labelled.texts:
            texts = client.text(model, version).classify_all(labelled.texts, top_k=every)
            return _matrix([answer.categories for answer in texts], len(self.manifest.labels))
        rows = client.tabular(model, version).predict_all(labelled.rows)
        return _matrix([answer.categories for answer in rows], len(self.manifest.labels))

    def values(self, labelled: Labelled) -> NDArray[np.float64]:
        """The predicted number: [N]."""
        names = [spec.name for spec in self.manifest.outputs if spec.role == pb.OUTPUT_ROLE_VALUE]
        if len(names) != 1:
            raise misuse(f"'{self.manifest.name}' predicts {len(names)} numbers ({', '.join(names)}): one is evaluated")
        if labelled.tensors is not None:
            return self._infer(labelled.tensors)[names[0]].reshape(-1).astype(np.float64)
        rows = self.fleet.client.tabular(self.manifest.name, self.manifest.version).predict_all(labelled.rows)
        return np.array([row.quantities[names[0]] for row in rows])

    def _tensor_scores(self, tensors: Mapping[str, Array]) -> NDArray[np.float64]:
        answers = self._infer(tensors)
        for spec in self.manifest.outputs:
            if spec.role == pb.OUTPUT_ROLE_PROBABILITIES:
                return answers[spec.name].astype(np.float64)
            if spec.role == pb.OUTPUT_ROLE_LOGITS:
                powers = np.exp(answers[spec.name] - answers[spec.name].max(axis=1, keepdims=True)).astype(np.float64)
                return np.asarray(powers / powers.sum(axis=1, keepdims=True))
        raise misuse(f"'{self.manifest.name}' has no output with a score for each class")

    def _infer(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        asked = self.fleet.client.tensors(self.manifest.name, self.manifest.version)
        count = len(next(iter(tensors.values())))
        parts = [
            asked.infer({name: values[start : start + _TENSOR_ROWS] for name, values in tensors.items()})
            for start in range(0, count, _TENSOR_ROWS)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _matrix(answers: Sequence[Sequence[Category]], class_count: int) -> NDArray[np.float64]:
    """[N, classes]; a class that the fleet did not name has nothing."""
    width = max(category.index for categories in answers for category in categories) + 1
    scores = np.zeros((len(answers), max(width, class_count)))
    for row, categories in enumerate(answers):
        for category in categories:
            scores[row, category.index] = category.score
    return scores


def draw(evaluation: Evaluation, folder: Path) -> list[Path]:
    """The pictures of a classifier's evaluation; none for numbers."""
    if evaluation.confusion is None or evaluation.truth is None or evaluation.scores is None:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{evaluation.manifest.name}-{evaluation.manifest.version}"
    title = f"{evaluation.manifest.name} version {evaluation.manifest.version}"
    drawn = [folder / f"{name}-confusion.png", folder / f"{name}-calibration.png"]
    plots.draw_confusion(evaluation.confusion, evaluation.labels, title, drawn[0])
    plots.draw_calibration(evaluation.truth, evaluation.scores, title, drawn[1])
    return drawn


def show(evaluation: Evaluation, console: Console) -> None:
    """Two tables: the whole beside what the manifest keeps, and each class."""
    manifest = evaluation.manifest
    split = evaluation.metrics[0].split
    table = Table("figure", split, "kept with the model", "on")
    for metric in evaluation.metrics:
        if metric.name in _SHOWN and not metric.label:
            kept = next((own for own in manifest.metrics if _same(own, metric)), None)
            beside = (_figure(kept), f"{kept.split}, {kept.row_count:,} rows") if kept else ("", "")
            table.add_row(metric.name, _figure(metric), *beside)
    console.print(f"{manifest.name} version {manifest.version}, {evaluation.metrics[0].row_count:,} rows", style="bold")
    console.print(table)
    if 0 < len(evaluation.labels) <= _MOST_CLASSES_SHOWN:
        console.print(_classes(evaluation))


def _classes(evaluation: Evaluation) -> Table:
    names = ("precision", "recall", "f1", "roc_auc")
    table = Table("class", "rows", *names)
    for label in evaluation.labels:
        own = {metric.name: metric for metric in evaluation.metrics if metric.label == label}
        rows = f"{own['recall'].row_count:,}" if own else "0"
        table.add_row(label, rows, *(_figure(own[name]) if name in own else "" for name in names))
    return table


def document(evaluation: Evaluation) -> str:
    """All that was measured, for a program."""
    found = {
        "model": evaluation.manifest.name,
        "version": evaluation.manifest.version,
        "metrics": [as_json(metric) for metric in evaluation.metrics],
        "labels": list(evaluation.labels),
        "confusion": list(evaluation.confusion.counts) if evaluation.confusion is not None else [],
    }
    return json.dumps(found)


def _same(kept: pb.Metric, measured: pb.Metric) -> bool:
    """The manifest's figure of the model itself on rows that were held out, not a mean over folds."""
    own = (kept.name, kept.label, kept.subject) == (measured.name, measured.label, "")
    return own and not kept.HasField("standard_deviation")


def _figure(metric: pb.Metric) -> str:
    return f"{metric.value:.4f}" if abs(metric.value) < 100 else f"{metric.value:,.1f}"
