"""A TensorFlow function -> ONNX, by way of tf2onnx: what Keras models, SavedModels and TF.js graphs all come to.

The function is traced with the shapes that it is told, batch open, so nothing of an example is frozen.
"""

from collections.abc import Callable, Sequence

import onnx
import tensorflow as tf
import tf2onnx

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
    proto, _ = tf2onnx.convert.from_function(traced, input_signature=named, opset=opset)
    return finish(_in_order(proto, len(named)), inputs, outputs)


def _in_order(proto: onnx.ModelProto, count: int) -> onnx.ModelProto:
    """tf2onnx may list inputs in an order of its own: bring them back to the function's."""
    by_name = {value.name.split(":")[0]: value for value in proto.graph.input}
    ordered = [by_name[f"input_{position}"] for position in range(count)]
    del proto.graph.input[:]
    proto.graph.input.extend(ordered)
    return proto
