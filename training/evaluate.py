"""How good a model is, as figures that its manifest keeps.

Everything is measured on rows that the model was not trained on, and each figure says on which and how many. K-fold
figures are means over the folds with their standard deviation: they speak of the way of training, not of the one
network that is published.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from argosy.v1.manifest_pb2 import Metric
from exporter.parity import Array


def classification(
    truth: Array, predicted: Array, split: str, labels: Sequence[str] = (), subject: str = ""
) -> list[Metric]:
    """Accuracy, macro-averaged precision, recall and F1 of class indices [N]; with `labels` also F1 of each class."""
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        truth, predicted, average="macro", zero_division=0
    )
    figures = {
        "accuracy": float(metrics.accuracy_score(truth, predicted)),
        "precision_macro": float(precision),
        "recall_macro": float(recall),
        "f1_macro": float(f1),
    }
    found = _metrics(figures, split, len(truth), subject)
    each = (
        metrics.f1_score(truth, predicted, average=None, labels=range(len(labels)), zero_division=0) if labels else []
    )
    for label, value in zip(labels, each, strict=True):
        support = int((truth == labels.index(label)).sum())
        found.append(Metric(name="f1", value=value, split=split, row_count=support, label=label, subject=subject))
    return found


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


def _metrics(figures: dict[str, float], split: str, row_count: int, subject: str) -> list[Metric]:
    return [
        Metric(name=name, value=value, split=split, row_count=row_count, subject=subject)
        for name, value in figures.items()
    ]
