"""A TensorFlow SavedModel: the folder with saved_model.pb. Its serving signature is what is asked and converted.

Loading it runs its initialisers, so what they and all else in it could do is looked at first.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from exporter import tf_function
from exporter.arrays import Array, Rows
from exporter.conversion import Request
from exporter.errors import SourceError
from exporter.foreign import told
from exporter.sources.inputs import TEXT, Input
from exporter.sources.source import Source
from exporter.sources.tensorflow_code import operations, refuse_saved_model
from exporter.sources.ways import Naming, Way

_SIGNATURE = "serving_default"


def from_file(path: Path, request: Request, samples: Rows) -> Source:  # noqa: ARG001 - a framework's module
    folder = path if path.is_dir() else path.parent
    try:
        refuse_saved_model(folder, request)
        model = tf.saved_model.load(folder)
    except (DecodeError, OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise SourceError(f"{folder.name} cannot be loaded by TensorFlow: {told(error)}") from error
    signature = _signature(model.signatures, folder.name)
    _refuse_tables(operations(signature.graph.as_graph_def()), folder.name)
    names = list(signature.structured_outputs)

    def call(*tensors: object, held: object = model) -> list[object]:  # noqa: ARG001 - its variables live no longer
        answers = signature(**dict(zip(signature.structured_input_signature[1], tensors, strict=True)))
        return [answers[name] for name in names]

    def to_graph(naming: Naming) -> bytes:
        specs = [spec_of(entry) for entry in naming.inputs]
        return tf_function.convert(call, specs, naming.input_names, naming.outputs)

    return Source(
        framework="tensorflow",
        distribution="tensorflow-cpu",
        converter="tf2onnx",
        inputs=tuple(_inputs(signature)),
        answer=lambda rows: answers_of(call, rows),
        ways=(Way(to_graph),),
        outputs=tuple(names),
    )


def answers_of(call: Callable[..., list[object]], rows: Sequence[Array]) -> list[Array]:
    """What a TensorFlow function answers, in its order."""
    return [np.asarray(value) for value in call(*(tf.constant(values) for values in rows))]


def input_of(name: str, given: tf.TensorSpec) -> Input:
    """A spec, batch first, as an input. Raises SourceError where the batch is fixed or the rank unknown."""
    if given.shape.rank is None or given.shape.rank == 0:
        raise SourceError(f"input '{name}' has no known number of dimensions: export the model with a signature")
    if given.shape[0] is not None:
        raise SourceError(
            f"input '{name}' is frozen at a batch of {given.shape[0]}: export the model with None as first dimension"
        )
    shape = tuple(size if size is not None else f"axis_{axis}" for axis, size in enumerate(given.shape[1:], 1))
    return Input(name, TEXT if given.dtype == tf.string else given.dtype.name, shape)


def _signature(
    signatures: dict[str, tf.types.experimental.ConcreteFunction], folder: str
) -> tf.types.experimental.ConcreteFunction:
    if _SIGNATURE in signatures:
        return signatures[_SIGNATURE]
    if len(signatures) == 1:
        return next(iter(signatures.values()))
    raise SourceError(
        f"{folder} has {len(signatures)} signatures and none is '{_SIGNATURE}': save it with signatures=..., or"
        " model.export(folder) in Keras"
    )


def _inputs(signature: tf.types.experimental.ConcreteFunction) -> Iterator[Input]:
    for name, given in signature.structured_input_signature[1].items():
        yield input_of(name, given)


def _refuse_tables(used: set[str], folder: str) -> None:
    """A table is filled from a file of the folder when the model is loaded: no constant that a graph could hold."""
    if found := sorted(op for op in used if op.startswith("LookupTable")):
        raise SourceError(
            f"{folder} looks values up in a table ({found[0]}), which cannot be converted: do so before the model is"
            " asked, and export it from what is found"
        )


def spec_of(entry: Input) -> tf.TensorSpec:
    sizes = [size if isinstance(size, int) else None for size in entry.shape]
    return tf.TensorSpec([None, *sizes], tf.string if entry.is_text else entry.dtype)
