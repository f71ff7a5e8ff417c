"""One value of a row to what its column's tensor holds.

A caller's number is an IEEE 754 double and the graph's mostly a float, so a number is refused where the tensor could
not hold it: infinite, too large, or a fraction for whole numbers. Nothing is converted between kinds: '1' is no number
and True is none either. What a missing value means is the column's policy; null, an absent column, and NaN for a number
are missing alike, and so is the empty text where the model imputes: it is what the graph gets for a missing one.
"""

import math
from dataclasses import dataclass

import numpy as np
from google.protobuf.struct_pb2 import Value

from argosy.v1.manifest_pb2 import (
    COLUMN_KIND_BOOLEAN,
    COLUMN_KIND_NUMBER,
    COLUMN_KIND_TEXT,
    MISSING_POLICY_IMPUTE,
    TableColumn,
)
from services.runtime.closed_columns import Categories, written
from services.runtime.errors import ServingError, invalid_input

Cell = float | int | bool | bytes

# The kinds of a google.protobuf.Value, as a message names what came.
_CAME = {
    "null_value": "null",
    "number_value": "a number",
    "string_value": "a string",
    "bool_value": "a boolean",
    "struct_value": "an object",
    "list_value": "a list",
    None: "a value without a kind",
}

_EXPECTED = {
    COLUMN_KIND_NUMBER: ("number_value", "a number"),
    COLUMN_KIND_TEXT: ("string_value", "a string"),
    COLUMN_KIND_BOOLEAN: ("bool_value", "a boolean"),
}


@dataclass(frozen=True, slots=True)
class NumberRange:
    """The numbers that a tensor's elements hold: whole ones only, or floats."""

    low: float
    high: float
    whole: bool

    def holds(self, number: float) -> bool:
        """Whether `number` can be an element; infinity and NaN cannot."""
        return self.low <= number <= self.high and (not self.whole or number.is_integer())

    def __str__(self) -> str:
        return f"a {'whole ' if self.whole else ''}number from {self.low:.8g} to {self.high:.8g}"


@dataclass(frozen=True, slots=True)
class Column:
    """A named column and the place of its cells: tensor `input`, [N, …], column `index`."""

    name: str
    input: str
    index: int
    kind: str
    expected: str
    numbers: NumberRange
    imputed: bool
    empty_is_missing: bool = False
    categories: Categories | None = None

    def cell(self, value: Value | None, row: int) -> Cell | None:
        """What the tensor gets, or None where the value is missing and the graph fills it in.

        Raises ServingError (INVALID_INPUT) that names the cell by `row` and column.
        """
        kind = None if value is None else value.WhichOneof("kind")
        if value is None or kind == "null_value":
            return self._left_to_graph("no value" if value is None else "null", row)
        if kind != self.kind:
            raise self._refused(row, self.expected, _CAME[kind], "WRONG_KIND")
        if kind == "number_value":
            return self._number(value.number_value, row)
        return self._text(value.string_value, row) if kind == "string_value" else value.bool_value

    @property
    def filler(self) -> Cell:
        """What the graph takes for a missing value."""
        return b"" if self.kind == "string_value" else math.nan

    def _number(self, number: float, row: int) -> Cell | None:
        if self.numbers.holds(number):
            return self._known(int(number) if self.numbers.whole else number, row)
        if math.isnan(number):
            return self._left_to_graph("NaN", row)
        raise self._refused(row, str(self.numbers), f"{number:.17g}", "NUMBER_OUT_OF_RANGE")

    def _text(self, text: str, row: int) -> Cell | None:
        return None if self.empty_is_missing and not text else self._known(text.encode(), row)

    def _known(self, cell: bytes | float, row: int) -> Cell:
        if self.categories is None or self.categories.holds(cell):
            return cell
        raise self._refused(row, str(self.categories), written(cell), "UNKNOWN_CATEGORY")

    def _left_to_graph(self, came: str, row: int) -> Cell | None:
        if self.imputed:
            return None
        raise self._refused(row, self.expected, came, "MISSING_VALUE")

    def _refused(self, row: int, expected: str, came: str, reason: str) -> ServingError:
        field = f"rows[{row}].{self.name}"
        return invalid_input(f"{field}: expected {expected}, got {came}", field, reason)


def column_of(spec: TableColumn, dtype: np.dtype[np.generic], categories: Categories | None = None) -> Column:
    """The manifest's column, whose cells go into a tensor of `dtype`."""
    kind, expected = _EXPECTED[spec.kind]
    imputed = spec.missing == MISSING_POLICY_IMPUTE
    return Column(
        spec.name, spec.input, spec.index, kind, expected, _numbers(dtype), imputed, empty_is_missing(spec), categories
    )


def empty_is_missing(spec: TableColumn) -> bool:
    """Whether the empty text is what the graph gets for a missing one."""
    return spec.missing == MISSING_POLICY_IMPUTE and "" not in spec.categories


def _numbers(dtype: np.dtype[np.generic]) -> NumberRange:
    if issubclass(dtype.type, np.floating):
        return NumberRange(float(np.finfo(dtype.type).min), float(np.finfo(dtype.type).max), whole=False)
    if issubclass(dtype.type, np.integer):
        # Beyond 2**53 a double is no longer every whole number, and 2**63 itself would pass for the largest INT64.
        low, high = np.iinfo(dtype.type).min, np.iinfo(dtype.type).max
        return NumberRange(max(low, -(2**53)), min(high, 2**53), whole=True)
    return NumberRange(0, 1, whole=True)
