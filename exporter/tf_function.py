"""A TensorFlow function -> ONNX, by way of tf2onnx: what Keras models, SavedModels and TF.js graphs all come to.

The function is traced with the shapes that it is told, batch open, so nothing of an example is frozen. Two things that
tf2onnx gets wrong are put right here: constants that a function brings along (the means of a Normalization layer) come
out as inputs, and the Erfc in Keras' GELU is unknown to it.
"""

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from onnx import numpy_helper
from tf2onnx.graph import Graph, Node

from exporter.graph import OPSET, finish


def convert(
    call: Callable[..., object],
    specs: Sequence[tf.TensorSpec],
    inputs: Sequence[str],
    outputs: Sequence[str | None],
    opset: int = OPSET,
) -> bytes:
    """The graph of `call`, which takes a tensor a spec and answers a list of tensors.

    `specs` are without names; `inputs` and `outputs` name the graph's tensors in the function's order.
    """
    named = [tf.TensorSpec(given.shape, given.dtype, name=f"input_{position}") for position, given in enumerate(specs)]
    traced = tf.function(call, input_signature=named)
    proto, _ = tf2onnx.convert.from_function(
        traced, input_signature=named, opset=opset, custom_op_handlers={"Erfc": (_one_less_erf, [])}
    )
    _fill_in_constants(proto, traced.get_concrete_function(), len(named))
    return finish(_in_order(proto, len(named)), inputs, outputs)


def _one_less_erf(graph: Graph, node: Node, _name: str, _arguments: list[object]) -> Node:
    """erfc(x) = 1 - erf(x)."""
    number = tf2onnx.utils.map_onnx_to_numpy_type(graph.get_dtype(node.input[0]))
    one = graph.make_const(tf2onnx.utils.make_name("one"), np.array(1, number)).output[0]
    erf = graph.make_node("Erf", node.input).output[0]
    shapes, dtypes, outputs = node.output_shapes, node.output_dtypes, node.output
    graph.remove_node(node.name)
    return graph.make_node("Sub", [one, erf], outputs=outputs, shapes=shapes, dtypes=dtypes)


def _fill_in_constants(proto: onnx.ModelProto, function: tf.types.experimental.ConcreteFunction, count: int) -> None:
    """Give the inputs beyond the function's own the values that it holds for them."""
    held = dict(zip((tensor.name for tensor in function.inputs[count:]), function.captured_inputs, strict=True))
    for value in proto.graph.input:
        if value.name in held:
            proto.graph.initializer.append(numpy_helper.from_array(held[value.name].numpy(), value.name))


def _in_order(proto: onnx.ModelProto, count: int) -> onnx.ModelProto:
    """tf2onnx may list inputs in an order of its own: bring them back to the function's."""
    by_name = {value.name.split(":")[0]: value for value in proto.graph.input}
    ordered = [by_name[f"input_{position}"] for position in range(count)]
    del proto.graph.input[:]
    proto.graph.input.extend(ordered)
    return proto
