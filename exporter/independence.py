"""Is a row answered alike, whoever is beside it? Nobody who asks knows with whom his row shares a batch.

What is scaled or averaged over a batch can be near enough to the source in every batch for a tolerance that is wide.
So this one is nobody's to state: what float32 kernels round otherwise in a batch of another size, and no more.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from exporter.arrays import Array, Rows
from exporter.errors import ParityError
from exporter.parity import DEFAULT_TOLERANCE, largest_of, usual_absolute


def usual_of(among: Mapping[str, Array]) -> dict[str, float]:
    """What is allowed of each output besides a share of its row's largest: small numbers are known by the whole batch.

    Of large outputs it is worth finding once.
    """
    return {name: usual_absolute(largest_of(whole)) for name, whole in among.items() if whole.dtype.kind == "f"}


def require_independent(
    among: Mapping[str, Array], usual: Mapping[str, float], asked: range, answers: Mapping[str, Array]
) -> None:
    """Hold `answers` to the rows that were asked in a batch of their own against those of `among`, the whole batch.

    `usual` is that of the whole batch. Rows that it does not have are passed over. Raises ParityError naming the output
    and the row.
    """
    for name, whole in among.items():
        expected = whole[asked.start : asked.stop]
        differing = np.flatnonzero(_differs(answers[name][: len(expected)], expected, usual.get(name, 0.0)))
        if differing.size:
            raise ParityError(
                f"output '{name}', row {asked.start + int(differing[0])}: the answer depends on the batch's others: in"
                f" batches of {len(asked)} and of {len(whole)} rows it is not the same"
            )


def with_company(rows: Rows) -> Rows:
    """One row and a made-up one beside it: its numbers doubled, indices of 0, the same texts."""
    return {name: np.concatenate([values, _another(values)]) for name, values in rows.items()}


def _another(values: Array) -> Array:
    if values.dtype.kind == "f":
        return 2 * values
    return values if values.dtype.kind in "OUS" else np.zeros_like(values)


def _differs(answer: Array, expected: Array, usual: float) -> NDArray[np.bool_]:
    """[N]: which rows are not the same, NaN being equal to NaN.

    An element is held against its row's largest, and what is usual in the whole batch.
    """
    elements = tuple(range(1, expected.ndim))
    if expected.dtype.kind != "f":
        return np.asarray(np.any(answer != expected, axis=elements), np.bool_)
    one, other = answer.astype(np.float64), expected.astype(np.float64)
    largest = np.abs(np.where(np.isfinite(other), other, 0)).max(axis=elements, initial=0, keepdims=True)
    allowed = usual + DEFAULT_TOLERANCE.relative * largest
    alike = np.isclose(one, other, rtol=0, atol=allowed, equal_nan=True)
    return np.asarray(~alike.all(axis=elements), np.bool_)
