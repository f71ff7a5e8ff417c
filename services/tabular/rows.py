"""Rows of named columns to the tensors that the graph reads.

A row names its columns in any order and may leave out what the model imputes; a name that the model does not know is an
error, because a misspelt column would otherwise be answered as a missing one. The first bad cell refuses the request.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from google.protobuf.struct_pb2 import Struct

from services.runtime.errors import ServingError, empty_request, invalid_input, shown
from services.runtime.front import Array
from services.tabular.cells import Column


@dataclass(frozen=True, slots=True)
class TableInput:
    """A tensor that receives columns: [N, width] of `dtype`."""

    width: int
    dtype: np.dtype[np.generic]


@dataclass(frozen=True, slots=True)
class TableRequest:
    """The tensors of one request, [rows, width] each, and the columns that each row leaves to the graph."""

    tensors: Mapping[str, Array]
    imputed: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class TableReader:
    """Reads rows for one model: `columns` by their names, `inputs` by the names of their tensors."""

    columns: Mapping[str, Column]
    inputs: Mapping[str, TableInput]

    def read(self, rows: Sequence[Struct]) -> TableRequest:
        """The rows of a request, or ServingError (INVALID_INPUT) that names row and column of the first bad cell."""
        if not rows:
            raise empty_request("rows")
        tensors = {name: np.empty((len(rows), spec.width), spec.dtype) for name, spec in self.inputs.items()}
        imputed = tuple(self._fill(tensors, i, row) for i, row in enumerate(rows))
        return TableRequest(tensors, imputed)

    def collate(self, requests: Sequence[TableRequest]) -> dict[str, Array]:
        """The rows of all requests as the graph's inputs."""
        return {name: np.concatenate([request.tensors[name] for request in requests]) for name in self.inputs}

    def _fill(self, tensors: Mapping[str, Array], i: int, row: Struct) -> tuple[str, ...]:
        values = row.fields
        if unknown := [name for name in values if name not in self.columns]:
            # A map has no order: it would be another one in every process.
            raise self._unknown_column(f"rows[{i}]", min(unknown))
        imputed = []
        for name, column in self.columns.items():
            cell = column.cell(values.get(name), i)
            if cell is None:
                imputed.append(name)
            tensors[column.input][i, column.index] = column.filler if cell is None else cell
        return tuple(imputed)

    def _unknown_column(self, row: str, name: str) -> ServingError:
        nearest = get_close_matches(shown(name), self.columns, n=1, cutoff=0)
        message = f"{row}.{shown(name)}: the model has no such column; the nearest of its columns is '{nearest[0]}'"
        return invalid_input(message, f"{row}.{shown(name)}", "UNKNOWN_COLUMN")
