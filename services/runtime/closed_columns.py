"""Columns whose model knows none but its categories: the graph would answer another value with anything, or not run.

The manifest writes categories as text; here they are what the column's tensor holds, so that a number is compared after
it was rounded to the tensor's type, as the graph sees it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from argosy.v1.manifest_pb2 import COLUMN_KIND_TEXT, ModelManifest, TableColumn
from services.runtime.errors import shown
from services.runtime.specs import bad_manifest, element_type, input_spec

_MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class Categories:
    """What a closed column takes: `values` are elements of a tensor of `dtype`, in the order of the manifest."""

    values: tuple[bytes | float, ...]
    known: frozenset[bytes | float]
    dtype: np.dtype[np.generic]

    def holds(self, cell: bytes | float) -> bool:
        """Whether `cell`, once it is in the tensor, is a category."""
        return (cell if isinstance(cell, bytes) else self.dtype.type(cell).item()) in self.known

    def __str__(self) -> str:
        named = ", ".join(map(written, self.values[:_MOST_NAMED]))
        return f"one of {named}{', …' if len(self.values) > _MOST_NAMED else ''}"


def categories_of(manifest: ModelManifest, column: TableColumn) -> Categories | None:
    """None where the column takes any. Raises ServingError (REFUSED_LOAD) where its categories are none."""
    if not column.closed:
        return None
    dtype = element_type(input_spec(manifest, column.input))
    try:
        values = tuple(_values(column, dtype))
    except (ValueError, OverflowError):
        raise bad_manifest(manifest, f"column '{column.name}' has a category that its tensor cannot hold") from None
    if not values:
        raise bad_manifest(manifest, f"column '{column.name}' is closed, and names no categories")
    return Categories(values, frozenset(values), dtype)


def written(value: bytes | float) -> str:
    """As a message shows it."""
    return f"'{shown(value.decode(errors='replace'))}'" if isinstance(value, bytes) else f"{value:.8g}"


def _values(column: TableColumn, dtype: np.dtype[np.generic]) -> Iterator[bytes | float]:
    for category in column.categories:
        if column.kind == COLUMN_KIND_TEXT:
            yield category.encode()
        else:
            yield dtype.type(int(category) if np.issubdtype(dtype, np.integer) else float(category)).item()
