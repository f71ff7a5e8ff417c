"""A Keras 3 model: .keras, .h5, or an object. Keras' safe mode keeps a file from bringing code of its own."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from exporter import keras as keras_export
from exporter.arrays import Array, Rows
from exporter.conversion import Request
from exporter.errors import SourceError
from exporter.foreign import told
from exporter.sources.inputs import TEXT, Input, Shape
from exporter.sources.keras_texts import REMEDY, text_model
from exporter.sources.source import Source
from exporter.sources.ways import Naming, Way

# How Keras names a class that it does not know.
_CLASS = re.compile(r"(?:Could not locate class|Unknown layer:?) '?(\w+)")


def from_file(path: Path, request: Request, samples: Rows) -> Source:
    """Raises SourceError where the file needs code to be loaded and the user does not trust it."""
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=not request.trust_code)
    except (ValueError, OSError, TypeError, KeyError, AttributeError) as error:
        raise SourceError(_what_is_missing(path, error)) from error
    return from_object(model, request, samples)


def from_object(model: object, request: Request, samples: Rows) -> Source:  # noqa: ARG001 - a framework's module
    """A model that does not tell its inputs, a subclassed one, gets them from the samples or from the user."""
    if not isinstance(model, keras.Model):
        raise SourceError(f"a {type(model).__name__} is no keras.Model: give the whole model")
    network = model
    texts = text_model(network)

    def to_graph(naming: Naming) -> bytes:
        if texts is not None:
            return texts.graph(naming.input_names[0], naming.outputs)
        specs = [tf.TensorSpec((None, *_open(entry.shape)), entry.dtype) for entry in naming.inputs]
        return keras_export.convert(
            network, naming.input_names, naming.outputs, specs=() if keras_export.inputs_of(network) else specs
        )

    return Source(
        framework=keras_export.FRAMEWORK,
        distribution=keras_export.FRAMEWORK_DISTRIBUTION,
        converter=keras_export.CONVERTER,
        inputs=(texts.input(),) if texts is not None else tuple(_inputs(network)) or None,
        answer=lambda rows: _answers(network, rows),
        ways=(Way(to_graph, () if texts is None else (REMEDY,)),),
        outputs=_output_names(network),
        parameter_count=keras_export.parameter_count(network),
    )


def _answers(network: keras.Model, rows: Sequence[Array]) -> list[Array]:
    tensors = [tf.constant(values) if values.dtype.kind == "O" else values for values in rows]
    return keras_export.predict(network, tensors)


def _inputs(network: keras.Model) -> Iterator[Input]:
    ranges = _ranges(network)
    for given in keras_export.inputs_of(network):
        shape = tuple(size if size is not None else f"axis_{axis}" for axis, size in enumerate(given.shape[1:], 1))
        dtype = TEXT if given.dtype == "string" else given.dtype
        yield Input(given.name, dtype, shape, whole_numbers=ranges.get(given.name))


def _ranges(network: keras.Model) -> dict[str, tuple[int, int]]:
    """The whole numbers that an embedding reads straight from an input."""
    by_name: dict[str, tuple[int, int]] = {}
    inputs = keras_export.inputs_of(network)
    single = inputs[0].name if len(inputs) == 1 else ""
    for layer in network.layers:
        if isinstance(layer, keras.layers.Embedding):
            source = single or getattr(keras.tree.flatten(layer.input)[0], "name", "")
            highest = min(layer.input_dim - 1, by_name.get(source, (0, layer.input_dim))[1])
            by_name[source] = (0, highest)
    return by_name


def _output_names(network: keras.Model) -> tuple[str, ...]:
    """Those of a dictionary, in Keras' order; else those of the layers that answer."""
    if not keras_export.inputs_of(network) or isinstance(network, keras.Sequential):
        return ()
    answered = network.output
    return tuple(sorted(answered)) if isinstance(answered, dict) else tuple(network.output_names)


def _what_is_missing(path: Path, error: Exception) -> str:
    if "Could not locate" in str(error) or "Unknown layer" in str(error):
        found = _CLASS.search(str(error))
        name = f" ('{found[1]}')" if found else ""
        return (
            f"{path.name} has a layer of your own{name}: --import MODULE with --trust-code names the module that"
            " registers it"
        )
    if "safe_mode" in str(error) or "unsafe" in str(error).lower():
        return f"loading {path.name} runs the code in it (a Lambda layer): say --trust-code if it is yours"
    return f"{path.name} cannot be loaded by Keras: it is cut short or of another version ({told(error)})"


def _open(shape: Shape) -> Iterator[int | None]:
    for size in shape:
        yield size if isinstance(size, int) else None
