"""Keras 3 -> ONNX, by way of tf2onnx.

`tf2onnx.convert.from_keras` breaks on a Keras 3 Sequential and names outputs by its own lights, so the model is traced
as a function of its inputs: that holds for Sequential, functional and subclassed models alike. The traced function runs
with `training=False`: dropout and batch statistics are what they are in prediction. Inputs and outputs that are a
dictionary have the order of its sorted names, which is Keras' own.
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from exporter import tf_function
from exporter.arrays import Array
from exporter.errors import SourceError
from exporter.graph import OPSET

FRAMEWORK, FRAMEWORK_DISTRIBUTION, CONVERTER = "keras", "keras", "tf2onnx"


def convert(
    model: keras.Model,
    inputs: Sequence[str],
    outputs: Sequence[str | None],
    opset: int = OPSET,
    specs: Sequence[tf.TensorSpec] = (),
) -> bytes:
    """The graph of a built model, its tensors named `inputs` and `outputs` in the model's order, its batch dynamic.

    `specs` state the inputs of a model that does not tell them: a subclassed one. None leaves an output out.
    Raises SourceError for a model without a known input shape, GraphError for one that cannot be named.
    """
    if not specs and (not model.built or not inputs_of(model)):
        raise SourceError("the Keras model has no inputs yet: build it, or begin with keras.Input")
    own = [tf.TensorSpec((None, *given.shape[1:]), given.dtype) for given in inputs_of(model)]
    return tf_function.convert(_predicting(model), specs or own, inputs, outputs, opset)


def predict(model: keras.Model, rows: Sequence[Array], batch_rows: int = 256) -> list[Array]:
    """The model's own outputs for all rows, [N, ...] each."""
    answers = model.predict(packed(model, rows), batch_size=batch_rows, verbose=0)
    return [np.asarray(answer) for answer in keras.tree.flatten(answers)]


def inputs_of(model: keras.Model) -> Sequence[keras.KerasTensor]:
    """None where the model does not tell them: a subclassed one does not even have the attribute."""
    return getattr(model, "inputs", None) or ()


def packed(model: keras.Model, tensors: Sequence[object]) -> object:
    """The tensors in the structure that the model is called with."""
    if not inputs_of(model) or isinstance(model, keras.Sequential):
        return tensors[0] if len(tensors) == 1 else list(tensors)
    return keras.tree.pack_sequence_as(model.input, list(tensors))


def parameter_count(model: keras.Model) -> int:
    """The model's trainable numbers."""
    return sum(int(np.prod(weights.shape)) for weights in model.trainable_weights)


def _predicting(model: keras.Model) -> Callable[..., object]:
    def call(*tensors: object) -> object:
        return keras.tree.flatten(model(packed(model, tensors), training=False))

    return call
