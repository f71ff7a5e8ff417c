"""Which inputs of a graph are indices of a table that it carries, as words of an embedding, and how long the table is.

ONNX Runtime refuses an index beyond the table on the CPU; on a card it answers zeros without a word. So the manifest
says how many entries there are, and the service looks before the graph runs. The graph shows which tables an input may
be looked up in, and ONNX Runtime, asked with the last index and the one behind it, whether it is so: converters put
arithmetic in between, as Keras does so that a negative index counts from the end.

Only an input all of whose values are treated alike is told of: of one that is cut, or shifted by a number for each
column, the table says nothing about the whole.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_errors

from exporter.arrays import Array
from exporter.errors import GraphError
from exporter.graph import graph_inputs
from exporter.run_graph import open_session

_INTEGERS = {onnx.TensorProto.INT32, onnx.TensorProto.INT64}
# Of these the first input alone has the values.
_RESHAPING = {"Cast", "Expand", "Flatten", "Identity", "Reshape", "Squeeze", "Tile", "Transpose", "Unsqueeze"}
_ELEMENTWISE = {"Abs", "Add", "And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min", "Mod"}
_ELEMENTWISE |= {"Clip", "Mul", "Neg", "Not", "Or", "Sub", "Where"}
# What a table may go through, entry by entry.
_SAME_ENTRIES = {"Cast", "DequantizeLinear", "Identity"}
_SOME_LENGTH = 8


def table_entries(model: onnx.ModelProto) -> dict[str, int]:
    """Input -> entries of the shortest table that it is looked up in."""
    tables = _tables(model.graph)
    if not tables:
        return {}
    try:
        probe = _Probe(model)
        found = {
            name: [count for count in sorted(counts) if probe.ends_at(name, count)] for name, counts in tables.items()
        }
    except GraphError:  # it does not run on zeros: who exports it hears of that elsewhere, if it matters
        return {}
    return {name: counts[0] for name, counts in found.items() if counts}


class _Probe:
    """Asks the graph with one row of zeros, and one input filled with an index."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._session = open_session(model.SerializeToString())
        self._zeros = {value.name: _zeros(value) for value in graph_inputs(model.graph)}

    def ends_at(self, name: str, count: int) -> bool:
        """Whether the last index below `count` is taken and `count` is not. Raises GraphError where not even 0 is."""
        return self._takes(name, 0) and self._takes(name, count - 1) and not self._takes(name, count)

    def _takes(self, name: str, index: int) -> bool:
        zeros = self._zeros[name]
        try:
            self._session.run(None, {**self._zeros, name: np.full_like(zeros, index)})
        except runtime_errors.InvalidArgument:
            return False
        except (runtime_errors.Fail, runtime_errors.RuntimeException) as error:
            raise GraphError("the graph does not run on a row of zeros") from error
        return True


def _zeros(value: onnx.ValueInfoProto) -> Array:
    tensor = value.type.tensor_type
    sizes = [dimension.dim_value or _SOME_LENGTH for dimension in tensor.shape.dim]
    shape = [1, *sizes[1:]] if sizes else []
    if tensor.elem_type == onnx.TensorProto.STRING:
        return np.full(shape, "", np.object_)
    return np.zeros(shape, onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))


def _tables(graph: onnx.GraphProto) -> dict[str, set[int]]:
    """Input -> lengths of the tables that it alone may be looked up in."""
    shapes = dict(_constants(graph))
    sources = {value.name: value.name for value in graph_inputs(graph) if _is_integer(value)}
    found: defaultdict[str, set[int]] = defaultdict(set)
    for node in graph.node:
        if node.op_type == "Gather" and node.input[1] in sources and node.input[0] in shapes:
            found[sources[node.input[1]]].add(shapes[node.input[0]][_axis(node)])
        if (source := _only_source(node, sources, shapes)) is not None:
            sources[node.output[0]] = source
        if node.op_type in _SAME_ENTRIES and node.input[0] in shapes:
            shapes[node.output[0]] = shapes[node.input[0]]
    return dict(found)


def _only_source(node: onnx.NodeProto, sources: Mapping[str, str], shapes: Mapping[str, Sequence[int]]) -> str | None:
    """The input that the node's values come from, each from the one in its place; None where it is not so."""
    if node.op_type in _RESHAPING:
        return sources.get(node.input[0])
    if node.op_type not in _ELEMENTWISE:
        return None
    varying = [name for name in node.input if name and math.prod(shapes.get(name, (0,))) != 1]
    found = {sources.get(name) for name in varying}
    return found.pop() if len(found) == 1 else None


def _constants(graph: onnx.GraphProto) -> Iterator[tuple[str, tuple[int, ...]]]:
    for tensor in graph.initializer:
        yield tensor.name, tuple(tensor.dims)
    for node in graph.node:
        value = next((attribute for attribute in node.attribute if attribute.name == "value"), None)
        if node.op_type == "Constant" and value is not None:
            yield node.output[0], tuple(value.t.dims)


def _is_integer(value: onnx.ValueInfoProto) -> bool:
    return value.type.tensor_type.elem_type in _INTEGERS


def _axis(node: onnx.NodeProto) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == "axis"), 0)
