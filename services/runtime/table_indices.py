"""Indices of a table that the graph carries, as words of an embedding, held against its length before the graph runs.

On the CPU ONNX Runtime refuses what lies beyond; on a card it would answer zeros. So it is looked for here, and whoever
sent it is told alone: a run that fails costs its neighbours their batch.
"""

from collections.abc import Mapping

import numpy as np

from argosy.v1.manifest_pb2 import ModelManifest
from services.runtime.errors import invalid_input
from services.runtime.front import Array
from services.runtime.typed_method import TensorCheck, accept_all


def index_check(manifest: ModelManifest) -> TensorCheck:
    """Of the inputs that the manifest gives `table_entries`; negative indices count from the end, as in ONNX."""
    tables = {tensor.name: tensor.table_entries for tensor in manifest.inputs if tensor.table_entries}
    if not tables:
        return accept_all

    def check(inputs: Mapping[str, Array]) -> tuple[str, ...]:
        for name, entries in tables.items():
            _check(name, inputs[name], entries)
        return ()

    return check


def both(first: TensorCheck, second: TensorCheck) -> TensorCheck:
    """One after the other, where each has something to say."""
    if first is accept_all or second is accept_all:
        return second if first is accept_all else first

    def check(inputs: Mapping[str, Array]) -> tuple[str, ...]:
        return first(inputs) + second(inputs)

    return check


def _check(name: str, tensor: Array, entries: int) -> None:
    indices = np.asarray(tensor, np.int64)
    if indices.min(initial=0) >= -entries and indices.max(initial=0) < entries:
        return
    place = tuple(np.argwhere((indices < -entries) | (indices >= entries))[0])
    message = f"input '{name}': row {place[0]}, {indices[place]} is no index of a table of {entries} entries"
    raise invalid_input(message, f"inputs.{name}", "VALUE_OUT_OF_RANGE")
