"""What a graph says of its inputs and outputs, read for buffers on a card: which can have one, of which type and shape.

A string, a map or a sequence cannot: such a graph runs without buffers, whole. A tensor that the graph reads or writes
on the CPU keeps its buffer there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from services.runtime.device_buffers import HOST, BoundInput, BoundOutput, Place

_DTYPES = {
    "tensor(bool)": np.dtype(np.bool_),
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(uint16)": np.dtype(np.uint16),
    "tensor(uint32)": np.dtype(np.uint32),
    "tensor(uint64)": np.dtype(np.uint64),
    "tensor(int8)": np.dtype(np.int8),
    "tensor(int16)": np.dtype(np.int16),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(int64)": np.dtype(np.int64),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(float)": np.dtype(np.float32),
    "tensor(double)": np.dtype(np.float64),
}


class Node(Protocol):
    """An input or output as ONNX Runtime tells of it; a dimension that varies is a name or None."""

    name: str
    type: str
    shape: Sequence[int | str | None]


class Memory(Protocol):
    """Where an input is read or an output written."""

    name: str


class Described(Protocol):
    """As much as is read of onnxruntime.InferenceSession."""

    def get_inputs(self) -> Sequence[Node]: ...
    def get_outputs(self) -> Sequence[Node]: ...
    def get_input_memory_infos(self) -> Sequence[Memory]: ...
    def get_output_memory_infos(self) -> Sequence[Memory]: ...


@dataclass(frozen=True, slots=True)
class BoundNodes:
    """The inputs and outputs of a graph, all of which can have buffers."""

    inputs: tuple[BoundInput, ...]
    outputs: tuple[BoundOutput, ...]


def bound_nodes(session: Described, place: Place) -> BoundNodes | None:
    """The graph's tensors with buffers at `place`; None where one can have none."""
    if any(node.type not in _DTYPES for node in (*session.get_inputs(), *session.get_outputs())):
        return None
    inputs = zip(session.get_inputs(), session.get_input_memory_infos(), strict=True)
    rows = _rows(session)
    outputs = zip(session.get_outputs(), session.get_output_memory_infos(), strict=True)
    return BoundNodes(
        tuple(BoundInput(node.name, _place(memory, place)) for node, memory in inputs),
        tuple(
            BoundOutput(node.name, _place(memory, place), _DTYPES[node.type], _row(node, rows))
            for node, memory in outputs
        ),
    )


def why_not_captured(session: Described, nodes: BoundNodes | None) -> str:
    """What stands against capturing a run as a CUDA graph, '' for nothing. Not raised here, where the error's frames
    would hold the session.
    """
    if nodes is None:
        return "the model has strings, which no card holds"
    for kind, found in (("input", session.get_inputs()), ("output", session.get_outputs())):
        for node in found:
            if _row(node, _rows(session)) is None:
                return f"{kind} '{node.name}' has a dimension that varies beside the rows"
    on_host = [i.name for i in nodes.inputs if i.place == HOST] + [o.name for o in nodes.outputs if o.place == HOST]
    return f"'{on_host[0]}' is read or written on the CPU" if on_host else ""


def _rows(session: Described) -> int | str | None:
    """What the first dimension of the first input is: what has it too has a row for each row."""
    return next(iter(session.get_inputs()[0].shape), None)


def _row(node: Node, rows: int | str | None) -> tuple[int, ...] | None:
    """The shape of one row; None where the rows or another dimension follow from what is computed."""
    row = [dimension for dimension in node.shape[1:] if isinstance(dimension, int)]
    return tuple(row) if node.shape and node.shape[0] == rows and len(row) == len(node.shape) - 1 else None


def _place(memory: Memory, place: Place) -> Place:
    return HOST if memory.name == "Cpu" else place
