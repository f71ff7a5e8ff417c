"""Rows that a source answers with numbers: NaN and infinity are no answers that a graph could be held against."""

from collections.abc import Iterator

import numpy as np

from exporter.arrays import Array, Rows
from exporter.conversion import NotApplicable, RowSet


def only_finite(rows: RowSet) -> Iterator[RowSet | NotApplicable]:
    """The rows that the source answers with finite numbers, and how many others there are."""
    finite = np.logical_and.reduce([_finite(answers) for answers in rows.answers.values()])
    if not finite.any():
        yield NotApplicable(rows.kind, "the source answers none of them with finite numbers")
        return
    yield RowSet(rows.kind, _chosen(rows.rows, finite), _chosen(rows.answers, finite))
    if not finite.all():
        left_out = f"the source answers {int((~finite).sum())} of {len(finite)} rows with no finite numbers"
        yield NotApplicable(rows.kind, left_out)


def _finite(answers: Array) -> Array:
    if answers.dtype.kind != "f":
        return np.ones(len(answers), bool)
    return np.asarray(np.isfinite(answers.reshape(len(answers), -1)).all(axis=1))


def _chosen(arrays: Rows, rows: Array) -> dict[str, Array]:
    return {name: values[rows] for name, values in arrays.items()}
