"""Rows as a caller has them, as google.protobuf.Struct, which is what the tabular service reads.

A missing value is None, NaN, pandas.NA or a column that is not there. Whether columns and values suit the model is the
service's to say; only what no Struct can hold is refused here.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from google.protobuf.struct_pb2 import Struct

from argosy_client.errors import unusable_input, utf8

RowInput: TypeAlias = Mapping[str, object]


@runtime_checkable
class Frame(Protocol):
    """A pandas DataFrame, as far as it is needed."""

    def to_dict(self, orient: str) -> list[dict[str, object]]: ...


RowsInput: TypeAlias = Iterable[RowInput] | Frame


def rows_of(rows: RowsInput) -> Iterator[RowInput]:
    """One mapping a row."""
    if isinstance(rows, Frame):
        return iter(rows.to_dict("records"))
    return iter(rows)


def struct_of(row: RowInput) -> Struct:
    """Raises InvalidInputError that names a column whose value is no number, text, bool or missing value."""
    struct = Struct()
    struct.update({_name(column): _cell(value, column) for column, value in row.items()})
    return struct


def _name(column: object) -> str:
    if not isinstance(column, str):
        raise unusable_input(f"a column's name is a text, got {column!r}", "rows")
    utf8(column, "rows")
    return column


def _cell(value: object, column: str) -> float | str | bool | None:
    if isinstance(value, np.generic):
        value = value.item()
    # pandas.NA and NaT are known by their names, so that pandas need not be installed.
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, str):
        utf8(value, f"rows.{column}")
        return value
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return None if math.isnan(value) else float(value)
    raise unusable_input(f"expected a number, a text, a bool or None, got {type(value).__name__}", f"rows.{column}")
