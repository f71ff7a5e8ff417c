"""Are boxes and scores of a detector what their roles say: pixels of the network's input, and [0, 1], descending?

A service hands both on as they are, boxes brought back to the picture: those in fractions become specks in its corner,
and whoever reads the first object for the likeliest reads another. The numbers of the source on the compared rows tell;
where it finds nothing on any row, nothing is told.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from argosy.v1 import manifest_pb2 as pb
from exporter.arrays import Array
from exporter.conversion import RowSet
from exporter.errors import ManifestError
from exporter.probabilities import lie_in_unit_interval

# Boxes in fractions may leave the picture by a half of it. No object is so small in pixels, on every row.
_LEAST_FRACTION, _LARGEST_FRACTION = -0.5, 1.5


def check_detections(outputs: Iterable[pb.TensorSpec], row_sets: Sequence[RowSet]) -> None:
    """Raises ManifestError for boxes or scores that are not what their role says."""
    for output in outputs:
        answers = [rows.answers[output.name] for rows in row_sets if output.name in rows.answers]
        if output.role == pb.OUTPUT_ROLE_SCORES:
            _check_scores(output.name, answers)
        if output.role == pb.OUTPUT_ROLE_BOXES:
            _check_boxes(output.name, answers)


def _check_scores(name: str, answers: Sequence[Array]) -> None:
    if any(scores.ndim != 2 for scores in answers):
        raise ManifestError(f"output '{name}' is described as scores: [N, objects] is needed, one score an object")
    if not all(map(lie_in_unit_interval, answers)):
        raise ManifestError(
            f"output '{name}' is described as scores and leaves [0, 1]: end the network in a sigmoid or softmax, with"
            " 0 where there is no object"
        )
    if any((np.diff(scores.astype(np.float64), axis=1) > 0).any() for scores in answers):
        raise ManifestError(
            f"output '{name}' is described as scores and is not descending: sort the objects of a row by it, the"
            " likeliest first"
        )


def _check_boxes(name: str, answers: Sequence[Array]) -> None:
    """By the first kind of rows on which anything is found: numbers of the hard ones may leave the picture by far."""
    if any(boxes.ndim != 3 or boxes.shape[2] != 4 for boxes in answers):
        raise ManifestError(
            f"output '{name}' is described as boxes: [N, objects, 4] is needed, left, top, right, bottom"
        )
    found = next((boxes for boxes in map(_with_area, answers) if len(boxes)), None)
    if found is not None and found.min() >= _LEAST_FRACTION and found.max() <= _LARGEST_FRACTION:
        raise ManifestError(
            f"output '{name}' is described as boxes and holds fractions of the picture, {found.max():.3g} at most:"
            " multiply by the width and height of the network's input"
        )


def _with_area(boxes: Array) -> NDArray[np.float64]:
    """Those of [N, objects, 4] that a service would answer: [found, 4]."""
    numbers = boxes.reshape(-1, 4).astype(np.float64)
    return np.asarray(numbers[(numbers[:, 2] > numbers[:, 0]) & (numbers[:, 3] > numbers[:, 1])])
