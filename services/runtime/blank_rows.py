"""Rows that a version is warmed with: zeros and empty texts, and in a closed column a value that the model knows."""

import numpy as np

from argosy.v1.manifest_pb2 import ModelManifest
from services.runtime.closed_columns import categories_of
from services.runtime.front import Array, Signature, TensorSignature
from services.runtime.tensors import DTYPES

# What a dimension that varies is warmed with, besides the batch.
_WARM_LENGTH = 8


def blank_rows(manifest: ModelManifest, signature: Signature, rows: int) -> dict[str, Array]:
    """The graph's inputs, name -> [rows, …]."""
    inputs = {tensor.name: _blank(tensor, rows) for tensor in signature.inputs}
    for column in manifest.table.columns:
        if (known := categories_of(manifest, column)) is not None:
            inputs[column.input][:, column.index] = known.values[0]
    return inputs


def _blank(tensor: TensorSignature, rows: int) -> Array:
    shape = (rows, *(_WARM_LENGTH if dimension < 0 else dimension for dimension in tensor.shape[1:]))
    if tensor.datatype == "BYTES":
        return np.full(shape, b"", np.object_)
    return np.zeros(shape, DTYPES[tensor.datatype])
