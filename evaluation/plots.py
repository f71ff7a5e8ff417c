"""Pictures of an evaluation, as PNG files: the confusion matrix and the calibration curve.

The confusion matrix is coloured by the share of each true class, so that rare classes are seen as well as common ones;
cells hold counts while there is room. The calibration curve is over the probability of the class that was answered:
of the rows that the model was 80 % sure of, how many were right? Bins hold equally many rows, so that none is noise.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from argosy.v1.manifest_pb2 import ConfusionMatrix
from evaluation.figures import Array

_DPI = 120
# More classes than this, and counts or names would be written over each other.
_COUNTED_CLASSES = 20
_NAMED_CLASSES = 50
_LABEL_CHARACTERS = 18
_MOST_BINS, _BIN_ROWS = 10, 20


def draw_confusion(matrix: ConfusionMatrix, labels: Sequence[str], title: str, path: Path) -> None:
    """`labels` name the classes in their order; none: their numbers."""
    size = matrix.class_count
    counts: NDArray[np.int64] = np.array(matrix.counts, np.int64).reshape(size, size)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(14.0, 3.2 + 0.65 * size)
    figure = Figure(figsize=(side + 1.8, side), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    names = [label if len(label) <= _LABEL_CHARACTERS else label[: _LABEL_CHARACTERS - 1] + "…" for label in labels]
    if size <= _NAMED_CLASSES:
        names = names or list(map(str, range(size)))
        # A name is no formula, whatever dollar signs it has.
        axes.set_xticks(range(size), names, rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
        axes.set_yticks(range(size), names, parse_math=False)
    for row, column in np.argwhere(counts > 0) if size <= _COUNTED_CLASSES else ():
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=colour, fontsize=9)
    _save(figure, path)


def draw_calibration(truth: Array, probabilities: Array, title: str, path: Path) -> None:
    """`truth` class indices [N], `probabilities` [N, classes]."""
    confidence, right = probabilities.max(axis=1).astype(np.float64), probabilities.argmax(axis=1) == truth
    said, seen, rows = calibration(confidence, right)
    figure = Figure(figsize=(6.4, 6.0), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], linestyle="--", color="grey", label="as sure as it is right")
    spread = np.sqrt(seen * (1 - seen) / rows)
    axes.errorbar(said, seen, yerr=spread, marker="o", capsize=3, label=f"the model, {len(truth):,} rows")
    low = max(0.0, min(float(said.min()), float(seen.min())) - 0.05)
    axes.set(
        xlim=(low, 1.01), ylim=(low, 1.01), xlabel="how sure it was, mean of the bin", ylabel="how often it was right"
    )
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    _save(figure, path)


def calibration(
    confidence: NDArray[np.float64], right: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Mean confidence, share of right answers and rows of each bin; bins of equally many rows, at least one bin."""
    order = np.argsort(confidence, kind="stable")
    bins = np.array_split(order, max(1, min(_MOST_BINS, len(order) // _BIN_ROWS)))
    means = np.array([confidence[chosen].mean() for chosen in bins])
    return means, np.array([right[chosen].mean() for chosen in bins]), np.array([len(chosen) for chosen in bins])


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure).print_png(path, metadata={"Software": None})
