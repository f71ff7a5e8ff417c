"""What a graph reads and answers, in the manifest's terms: dtypes, shapes, and a meaning for each tensor.

What form a graph must have is `graph.py`'s concern; its names stand here too, for who speaks of both.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import onnx

from argosy.v1 import manifest_pb2 as pb
from exporter.errors import GraphError
from exporter.graph import BATCH, OPSET, check, finish, graph_inputs, opset_of, parameter_count, parse
from exporter.table_lookups import table_entries

__all__ = [
    "BATCH",
    "OPSET",
    "Meaning",
    "check",
    "finish",
    "graph_inputs",
    "opset_of",
    "parameter_count",
    "parse",
    "tensor_specs",
]

_DATA_TYPES: Mapping[int, pb.DataType.ValueType] = {
    onnx.TensorProto.BOOL: pb.DATA_TYPE_BOOL,
    onnx.TensorProto.UINT8: pb.DATA_TYPE_UINT8,
    onnx.TensorProto.UINT16: pb.DATA_TYPE_UINT16,
    onnx.TensorProto.UINT32: pb.DATA_TYPE_UINT32,
    onnx.TensorProto.UINT64: pb.DATA_TYPE_UINT64,
    onnx.TensorProto.INT8: pb.DATA_TYPE_INT8,
    onnx.TensorProto.INT16: pb.DATA_TYPE_INT16,
    onnx.TensorProto.INT32: pb.DATA_TYPE_INT32,
    onnx.TensorProto.INT64: pb.DATA_TYPE_INT64,
    onnx.TensorProto.FLOAT16: pb.DATA_TYPE_FP16,
    onnx.TensorProto.FLOAT: pb.DATA_TYPE_FP32,
    onnx.TensorProto.DOUBLE: pb.DATA_TYPE_FP64,
    onnx.TensorProto.STRING: pb.DATA_TYPE_BYTES,
}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the numbers of one input or output are, for the manifest."""

    text: str
    unit: str = ""
    role: pb.OutputRole.ValueType = pb.OUTPUT_ROLE_UNSPECIFIED


def tensor_specs(graph: bytes, meanings: Mapping[str, Meaning]) -> tuple[list[pb.TensorSpec], list[pb.TensorSpec]]:
    """The manifest's inputs and outputs, with the meaning of each. Raises GraphError where one has none."""
    model = parse(graph)
    parsed, entries = model.graph, table_entries(model)
    specs = (
        [_spec(value, meanings, entries.get(value.name, 0)) for value in graph_inputs(parsed)],
        [_spec(value, meanings) for value in parsed.output],
    )
    for spec in specs[1]:
        if not spec.role:
            raise GraphError(f"output '{spec.name}' needs a role: what does it hold?")
    return specs


def _spec(value: onnx.ValueInfoProto, meanings: Mapping[str, Meaning], entries: int = 0) -> pb.TensorSpec:
    tensor = value.type.tensor_type
    if tensor.elem_type not in _DATA_TYPES:
        raise GraphError(f"'{value.name}' is no tensor of a type that can be served (ZipMap and sequences are not)")
    if value.name not in meanings:
        raise GraphError(f"'{value.name}' needs a meaning: say what its numbers are")
    meaning = meanings[value.name]
    shape = [dimension.dim_value if dimension.HasField("dim_value") else -1 for dimension in tensor.shape.dim]
    return pb.TensorSpec(
        name=value.name,
        data_type=_DATA_TYPES[tensor.elem_type],
        shape=shape,
        meaning=meaning.text,
        unit=meaning.unit,
        role=meaning.role,
        table_entries=entries,
    )
