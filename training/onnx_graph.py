"""ONNX graphs written by hand, in expressions.

Some graphs have no framework that they could be exported from: they join finished ONNX files by arithmetic. onnx's own
helpers want a name for each intermediate value, which hides the arithmetic; here a value is an object with operators,
and numbers become constants where they stand. Types and shapes are left to onnx's checker. A model that is included
must have no branches or loops: the names inside them are not followed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Attribute: TypeAlias = int | float | str | Sequence[int]
Operand: TypeAlias = "Value | NDArray[np.generic] | float"


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of a graph that is being written."""

    graph: "GraphText"
    name: str

    def __add__(self, other: Operand) -> "Value":
        return self.graph.call("Add", self, other)

    def __sub__(self, other: Operand) -> "Value":
        return self.graph.call("Sub", self, other)

    def __mul__(self, other: Operand) -> "Value":
        return self.graph.call("Mul", self, other)

    def __gt__(self, other: Operand) -> "Value":
        return self.graph.call("Greater", self, other)

    def columns(self, start: int, stop: int) -> "Value":
        """self[:, start:stop]"""
        return self.graph.call("Slice", self, _integers(start), _integers(stop), _integers(1))

    def rows(self, start: int, stop: int) -> "Value":
        """self[start:stop]; a negative stop counts from the end."""
        return self.graph.call("Slice", self, _integers(start), _integers(stop), _integers(0))

    def take(self, indices: "Value") -> "Value":
        """self[indices], by row."""
        return self.graph.call("Gather", self, indices, attributes={"axis": 0})

    def transposed(self, *order: int) -> "Value":
        return self.graph.call("Transpose", self, attributes={"perm": order})

    def reshaped(self, *shape: int) -> "Value":
        """0 keeps a dimension, -1 takes what is left."""
        return self.graph.call("Reshape", self, _integers(*shape))

    def unsqueezed(self, axis: int) -> "Value":
        return self.graph.call("Unsqueeze", self, _integers(axis))

    def cast(self, element_type: int) -> "Value":
        """`element_type` as onnx.TensorProto numbers them."""
        return self.graph.call("Cast", self, attributes={"to": element_type})


class GraphText:
    """The nodes and constants of one graph, in the order in which they are written."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._count = 0

    def input(self, name: str, element_type: int, shape: Sequence[int]) -> Value:
        self._inputs.append(helper.make_tensor_value_info(name, element_type, shape))
        return Value(self, name)

    def constant(self, number: NDArray[np.generic] | float) -> Value:
        """A tensor; a Python number becomes a float32 scalar."""
        array = np.asarray(number, np.float32) if isinstance(number, int | float) else number
        name = self._new_name("constant")
        self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        return Value(self, name)

    def call(self, operator: str, *operands: Operand, attributes: Mapping[str, Attribute] | None = None) -> Value:
        """The first output of an operator of ONNX."""
        return self.call_for(1, operator, *operands, attributes=attributes)[0]

    def call_for(
        self, output_count: int, operator: str, *operands: Operand, attributes: Mapping[str, Attribute] | None = None
    ) -> list[Value]:
        """The first `output_count` outputs of an operator of ONNX."""
        inputs = [operand if isinstance(operand, Value) else self.constant(operand) for operand in operands]
        outputs = [self._new_name(operator.lower()) for _ in range(output_count)]
        node = helper.make_node(operator, [value.name for value in inputs], outputs)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in (attributes or {}).items())
        self._nodes.append(node)
        return [Value(self, name) for name in outputs]

    def concatenate(self, axis: int, *parts: Operand) -> Value:
        return self.call("Concat", *parts, attributes={"axis": axis})

    def include(self, model: onnx.ModelProto, name: str, given: Value) -> list[Value]:
        """The outputs of a whole model of one input, run on `given`. Its weights are there once for all its runs."""
        call_name = self._new_name(name)
        weights = {tensor.name: f"{name}/{tensor.name}" for tensor in model.graph.initializer}
        (taken,) = (value.name for value in model.graph.input if value.name not in weights)
        known = {**weights, taken: given.name, "": ""}
        for tensor in model.graph.initializer:
            copied = self._constants.setdefault(weights[tensor.name], onnx.TensorProto())
            copied.CopyFrom(tensor)
            copied.name = weights[tensor.name]
        for node in model.graph.node:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.name = ""  # two nodes of one name are refused, and no name is needed
            copy.input[:] = [known.get(part, f"{call_name}/{part}") for part in node.input]
            copy.output[:] = [f"{call_name}/{part}" for part in node.output]
            self._nodes.append(copy)
        return [Value(self, f"{call_name}/{output.name}") for output in model.graph.output]

    def model(self, outputs: Mapping[str, tuple[Value, Sequence[int]]], opset: int) -> onnx.ModelProto:
        """The finished model; `outputs` gives each float32 output's value and shape."""
        for name, (value, _) in outputs.items():
            self._nodes.append(helper.make_node("Identity", [value.name], [name]))
        described = [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, (_, shape) in outputs.items()
        ]
        graph = helper.make_graph(
            self._nodes, self._name, self._inputs, described, initializer=list(self._constants.values())
        )
        imports = [helper.make_opsetid("", opset)]
        ir_version = helper.find_min_ir_version_for(imports)
        return helper.make_model(graph, producer_name="argosy", opset_imports=imports, ir_version=ir_version)

    def _new_name(self, stem: str) -> str:
        self._count += 1
        return f"{stem}_{self._count}"


def _integers(*numbers: int) -> NDArray[np.int64]:
    return np.asarray(numbers, np.int64)
