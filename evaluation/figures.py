"""How good a model is, as figures that its manifest keeps.

Everything is measured on rows that the model was not trained on, and each figure says on which and how many. K-fold
figures are means over the folds with their standard deviation: they speak of the way of training, not of the one
network that is published. The definitions are scikit-learn's; the area under the ROC curve is one class against the
rest, its mean over the classes that some rows have and others have not.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from argosy.v1.manifest_pb2 import ConfusionMatrix, Metric

Array: TypeAlias = NDArray[np.generic]

_AVERAGES = ("macro", "micro")


def classification(
    truth: Array,
    predicted: Array,
    split: str,
    labels: Sequence[str] = (),
    *,
    subject: str = "",
    probabilities: Array | None = None,
) -> list[Metric]:
    """Accuracy; precision, recall and F1, macro and micro; ROC AUC where `probabilities` [N, classes] are given.

    `truth` and `predicted` are class indices [N]. With `labels` each class has its own figures, too, in which
    `row_count` is the rows that are of the class.
    """
    found = _metrics({"accuracy": float(metrics.accuracy_score(truth, predicted))}, split, len(truth), subject)
    for average in _AVERAGES:
        precision, recall, f1, _ = metrics.precision_recall_fscore_support(
            truth, predicted, average=average, zero_division=0
        )
        of_average = {f"precision_{average}": precision, f"recall_{average}": recall, f"f1_{average}": f1}
        found += _metrics(of_average, split, len(truth), subject)
    areas = {} if probabilities is None else roc_areas(truth, probabilities)
    if areas:
        found += _metrics({"roc_auc_macro": float(np.mean(list(areas.values())))}, split, len(truth), subject)
    found += _each_class(truth, predicted, split, labels, subject=subject, areas=areas)
    return found


def _each_class(
    truth: Array, predicted: Array, split: str, labels: Sequence[str], *, subject: str, areas: Mapping[int, float]
) -> Iterator[Metric]:
    if not labels:
        return
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truth, predicted, average=None, labels=range(len(labels)), zero_division=0
    )
    for index, label in enumerate(labels):
        figures = {"precision": precision[index], "recall": recall[index], "f1": f1[index]}
        if index in areas:
            figures["roc_auc"] = areas[index]
        yield from _metrics(figures, split, int(support[index]), subject, label)


def roc_areas(truth: Array, probabilities: Array) -> dict[int, float]:
    """Class index -> area under its ROC curve, of those classes that some of the rows have and others have not."""
    found: dict[int, float] = {}
    for index in range(probabilities.shape[1]):
        is_class = truth == index
        if is_class.any() and not is_class.all():
            found[index] = float(metrics.roc_auc_score(is_class, probabilities[:, index]))
    return found


def confusion(truth: Array, predicted: Array, class_count: int, split: str) -> ConfusionMatrix:
    """How many rows of each class were taken for each: truth by row, prediction by column."""
    counts = metrics.confusion_matrix(truth, predicted, labels=range(class_count))
    return ConfusionMatrix(counts=counts.ravel().tolist(), class_count=class_count, split=split)


def regression(truth: Array, predicted: Array, split: str, subject: str = "") -> list[Metric]:
    """Mean squared error, mean absolute error and R² of numbers [N], in the units of the target."""
    figures = {
        "mse": float(metrics.mean_squared_error(truth, predicted)),
        "mae": float(metrics.mean_absolute_error(truth, predicted)),
        "r2": float(metrics.r2_score(truth, predicted)),
    }
    return _metrics(figures, split, len(truth), subject)


def over_folds(folds: Sequence[Sequence[Metric]]) -> list[Metric]:
    """The mean of each figure over the folds with its standard deviation; `row_count` is of all folds together."""
    split = f"{len(folds)}-fold"
    averaged = []
    for figures in zip(*folds, strict=True):
        values: NDArray[np.float64] = np.array([figure.value for figure in figures])
        averaged.append(
            Metric(
                name=figures[0].name,
                value=float(values.mean()),
                standard_deviation=float(values.std(ddof=1)),
                split=split,
                row_count=sum(figure.row_count for figure in figures),
                label=figures[0].label,
                subject=figures[0].subject,
            )
        )
    return averaged


def _metrics(figures: Mapping[str, float], split: str, row_count: int, subject: str, label: str = "") -> list[Metric]:
    return [
        Metric(name=name, value=value, split=split, row_count=row_count, subject=subject, label=label)
        for name, value in figures.items()
    ]
