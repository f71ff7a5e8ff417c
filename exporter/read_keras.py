"""A Keras model of the user's own. Keras' safe mode keeps a .keras file from bringing code of its own."""

from pathlib import Path

import keras

from exporter import keras as keras_export
from exporter.errors import SourceError
from exporter.own_model import Converted, Order


def from_file(path: Path, order: Order) -> Converted:
    """Raises SourceError where the file needs code to be loaded and the user does not trust it."""
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=not order.trust_code)
    except (ValueError, OSError, TypeError) as error:
        raise SourceError(
            f"{path.name} cannot be loaded by Keras: {str(error).strip().splitlines()[0][:200]}"
        ) from error
    return from_object(model, order)


def from_object(model: object, order: Order) -> Converted:
    answers = keras_export.predict(model, list(order.samples.values()))
    return Converted(
        graph=keras_export.convert(model, list(order.samples), order.output_names),
        reference=dict(zip(order.output_names, answers, strict=True)),
        framework=keras_export.FRAMEWORK,
        distribution=keras_export.FRAMEWORK_DISTRIBUTION,
        converter=keras_export.CONVERTER,
        parameters=keras_export.parameter_count(model),
    )
