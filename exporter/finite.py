"""Rows that a source answers with numbers: NaN and infinity are no answers that a graph could be held against."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from exporter.arrays import Array, Rows
from exporter.conversion import NotApplicable, RowSet
from exporter.sources.padding import PAIRED


def finite_or_paired(rows: RowSet) -> Iterator[RowSet | NotApplicable]:
    """As `only_finite`; of padded texts all stay, for answers at the places of padding may be no numbers."""
    yield from (rows,) if rows.kind in PAIRED else only_finite(rows)


def only_finite(rows: RowSet) -> Iterator[RowSet | NotApplicable]:
    """The rows that the source answers with finite numbers, and how many others there are."""
    finite = finite_rows(rows.answers)
    if not finite.any():
        yield NotApplicable(rows.kind, "the source answers none of them with finite numbers")
        return
    yield RowSet(rows.kind, _chosen(rows.rows, finite), _chosen(rows.answers, finite))
    if not finite.all():
        left_out = f"the source answers {int((~finite).sum())} of {len(finite)} rows with no finite numbers"
        yield NotApplicable(rows.kind, left_out)


def finite_rows(answers: Rows) -> NDArray[np.bool_]:
    """[N]: which rows are answered with finite numbers in every output."""
    return np.asarray(np.logical_and.reduce([_finite(values) for values in answers.values()]), np.bool_)


def _finite(answers: Array) -> Array:
    if answers.dtype.kind != "f":
        return np.ones(len(answers), bool)
    return np.asarray(np.isfinite(answers.reshape(len(answers), -1)).all(axis=1))


def _chosen(arrays: Rows, rows: Array) -> dict[str, Array]:
    return {name: values[rows] for name, values in arrays.items()}
