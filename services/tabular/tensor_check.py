"""What a tabular model must not get from callers that send its tensors by themselves, with ModelInfer.

The manifest's policy for missing values holds for them as for the rows of Predict: NaN where a column is not imputed is
refused, infinity always, and so is what a closed column does not know. Of each column that is imputed the answer has a
parameter. The front has compared names, datatypes and shapes; texts and whole numbers hold neither NaN nor infinity.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from argosy.v1.manifest_pb2 import COLUMN_KIND_TEXT, MISSING_POLICY_IMPUTE, ModelManifest
from services.runtime.batch_buffers import BufferedRows
from services.runtime.closed_columns import Categories, categories_of, written
from services.runtime.errors import invalid_input
from services.runtime.front import Array
from services.runtime.specs import element_type, input_spec
from services.runtime.typed_method import TensorCheck
from services.tabular.cells import empty_is_missing

# The parameter of an answer, before the column's name: the graph has filled in a value of this column.
IMPUTED = "imputed."


@dataclass(frozen=True, slots=True)
class FloatColumns:
    """The columns of one tensor of floats, [N, columns]; `imputed` is True where NaN is a missing value."""

    input: str
    names: tuple[str, ...]
    imputed: NDArray[np.bool_]

    def check(self, cells: Array, are_finite: bool = False) -> tuple[str, ...]:
        """The columns that have a missing value. Raises ServingError (INVALID_INPUT) that names row and column of the
        first bad cell. `are_finite`: every cell is known to be.
        """
        if cells.shape[1] != len(self.names):
            message = f"input '{self.input}': {len(self.names)} columns are needed, got {cells.shape[1]}"
            raise invalid_input(message, f"inputs.{self.input}")
        # Nearly always so: the sum of squares takes 1 µs, what follows 10. It is finite only where every cell is.
        if are_finite or math.isfinite(np.vdot(cells, cells)):  # type: ignore[arg-type]  # floats: Array says less
            return ()
        numbers = np.asarray(cells, np.float64)
        is_nan = np.isnan(numbers)
        missing = is_nan & ~self.imputed
        bad = missing | np.isinf(numbers)
        if bad.any():
            row, place = (int(index) for index in np.argwhere(bad)[0])
            message = f"input '{self.input}': row {row}, column '{self.names[place]}': expected a finite number, got "
            reason = "MISSING_VALUE" if missing[row, place] else "NUMBER_OUT_OF_RANGE"
            raise invalid_input(message + f"{numbers[row, place]:g}", f"inputs.{self.input}", reason)
        return tuple(self.names[place] for place in np.flatnonzero(is_nan.any(axis=0)))


@dataclass(frozen=True, slots=True)
class ClosedColumn:
    """Column `place` of a tensor, [N, columns], that takes its categories and, if it is `imputed`, a missing value."""

    input: str
    place: int
    name: str
    categories: Categories
    imputed: bool

    def check(self, cells: Array) -> bool:
        """Whether there is a missing value. Raises ServingError (INVALID_INPUT) that names row and column of the first
        unknown one.
        """
        has_missing = False
        for row, cell in enumerate(cells[:, self.place].tolist()):
            if cell in self.categories.known:
                continue
            if not (self.imputed and _is_missing(cell)):
                message = f"input '{self.input}': row {row}, column '{self.name}': expected {self.categories}, got "
                raise invalid_input(message + written(cell), f"inputs.{self.input}", "UNKNOWN_CATEGORY")
            has_missing = True
        return has_missing


@dataclass(frozen=True, slots=True)
class OpenTexts:
    """Column `place` of a tensor, [N, columns], that takes any text; the empty one is a missing value."""

    input: str
    place: int
    name: str

    def check(self, cells: Array) -> bool:
        """Whether there is a missing value."""
        return b"" in cells[:, self.place].tolist()


def tensor_check(manifest: ModelManifest) -> TensorCheck:
    """The check of a model whose columns are as `typed_methods` wants them."""
    floats = _float_columns(manifest)
    single: list[ClosedColumn | OpenTexts] = [*_closed_columns(manifest), *_open_texts(manifest)]

    def check(inputs: Mapping[str, Array]) -> tuple[str, ...]:
        are_finite = isinstance(inputs, BufferedRows) and inputs.are_finite
        imputed: list[str] = []
        for of_input in floats:
            imputed += of_input.check(inputs[of_input.input], are_finite)
        for column in single:
            if column.check(inputs[column.input]):
                imputed.append(column.name)
        return tuple(IMPUTED + name for name in dict.fromkeys(imputed))

    return check


def _float_columns(manifest: ModelManifest) -> list[FloatColumns]:
    found: list[FloatColumns] = []
    for name in dict.fromkeys(column.input for column in manifest.table.columns):
        if np.issubdtype(element_type(input_spec(manifest, name)), np.floating):
            own = sorted((c for c in manifest.table.columns if c.input == name), key=lambda column: column.index)
            imputed = np.array([column.missing == MISSING_POLICY_IMPUTE for column in own])
            found.append(FloatColumns(name, tuple(column.name for column in own), imputed))
    return found


def _closed_columns(manifest: ModelManifest) -> Iterator[ClosedColumn]:
    for column in manifest.table.columns:
        if (categories := categories_of(manifest, column)) is not None:
            imputed = column.missing == MISSING_POLICY_IMPUTE
            yield ClosedColumn(column.input, column.index, column.name, categories, imputed)


def _open_texts(manifest: ModelManifest) -> Iterator[OpenTexts]:
    for column in manifest.table.columns:
        if column.kind == COLUMN_KIND_TEXT and not column.closed and empty_is_missing(column):
            yield OpenTexts(column.input, column.index, column.name)


def _is_missing(cell: bytes | float) -> bool:
    return not cell if isinstance(cell, bytes) else math.isnan(cell)
