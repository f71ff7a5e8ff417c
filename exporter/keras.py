"""Keras 3 -> ONNX, by way of tf2onnx.

`tf2onnx.convert.from_keras` breaks on a Keras 3 Sequential and names outputs by its own lights, so the model is traced
as a function of its inputs: that holds for Sequential and functional models alike. The traced function runs with
`training=False`: dropout and batch statistics are what they are in prediction.
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx

from exporter.arrays import Array
from exporter.errors import SourceError
from exporter.graph import OPSET, finish

FRAMEWORK, FRAMEWORK_DISTRIBUTION, CONVERTER = "keras", "keras", "tf2onnx"


def convert(model: keras.Model, inputs: Sequence[str], outputs: Sequence[str], opset: int = OPSET) -> bytes:
    """The graph of a built model, its tensors named `inputs` and `outputs` in the model's order, its batch dynamic.

    Raises SourceError for a model without a known input shape, GraphError for one that cannot be named.
    """
    if not model.built or not model.inputs:
        raise SourceError("the Keras model has no inputs yet: build it, or begin with keras.Input")
    specs = [
        tf.TensorSpec((None, *given.shape[1:]), given.dtype, name=f"input_{position}")
        for position, given in enumerate(model.inputs)
    ]
    traced = tf.function(_predicting(model), input_signature=specs)
    proto, _ = tf2onnx.convert.from_function(traced, input_signature=specs, opset=opset)
    return finish(_in_order(proto, len(specs)), inputs, outputs)


def predict(model: keras.Model, rows: Sequence[Array], batch_rows: int = 256) -> list[Array]:
    """The model's own outputs for all rows, [N, ...] each."""
    answers = model.predict(list(rows) if len(rows) > 1 else rows[0], batch_size=batch_rows, verbose=0)
    return [np.asarray(answer) for answer in (answers if isinstance(answers, list) else [answers])]


def parameter_count(model: keras.Model) -> int:
    """The model's trainable numbers."""
    return sum(int(np.prod(weights.shape)) for weights in model.trainable_weights)


def _predicting(model: keras.Model) -> Callable[..., object]:
    def call(*tensors: object) -> object:
        answers = model(list(tensors) if len(tensors) > 1 else tensors[0], training=False)
        return list(answers) if isinstance(answers, list | tuple) else [answers]

    return call


def _in_order(proto: onnx.ModelProto, count: int) -> onnx.ModelProto:
    """tf2onnx may list inputs in an order of its own: bring them back to the model's."""
    by_name = {value.name.split(":")[0]: value for value in proto.graph.input}
    ordered = [by_name[f"input_{position}"] for position in range(count)]
    del proto.graph.input[:]
    proto.graph.input.extend(ordered)
    return proto
