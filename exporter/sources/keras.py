"""A Keras 3 model: .keras, .h5, or an object. Keras' safe mode keeps a file from bringing code of its own."""

from pathlib import Path

import keras

from exporter import keras as keras_export
from exporter.arrays import Rows, first_line
from exporter.conversion import Request
from exporter.errors import SourceError
from exporter.sources.source import Naming, Source


def from_file(path: Path, request: Request, samples: Rows) -> Source:
    """Raises SourceError where the file needs code to be loaded and the user does not trust it."""
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=not request.trust_code)
    except (ValueError, OSError, TypeError) as error:
        raise SourceError(f"{path.name} cannot be loaded by Keras: {first_line(error)}") from error
    return from_object(model, request, samples)


def from_object(model: object, request: Request, samples: Rows) -> Source:  # noqa: ARG001 - a framework's module
    """The samples are the model's inputs in its order."""
    if not isinstance(model, keras.Model):
        raise SourceError(f"a {type(model).__name__} is no keras.Model: give the whole model")
    network = model

    def to_graph(naming: Naming) -> bytes:
        return keras_export.convert(network, naming.inputs, naming.outputs)

    return Source(
        framework=keras_export.FRAMEWORK,
        distribution=keras_export.FRAMEWORK_DISTRIBUTION,
        converter=keras_export.CONVERTER,
        input_count=len(network.inputs or []) or None,
        answer=lambda rows: keras_export.predict(network, rows),
        to_graph=to_graph,
        parameter_count=keras_export.parameter_count(network),
    )
