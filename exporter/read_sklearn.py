"""A scikit-learn estimator of the user's own: of one array, or of a table with one column a sample array."""

import pickle
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, is_classifier

from exporter import sklearn as sklearn_export
from exporter.errors import SourceError
from exporter.own_model import Converted, Order
from exporter.parity import Array


def from_file(path: Path, order: Order) -> Converted:
    """A pickle or joblib file. It runs code: the caller has asked whether it is trusted."""
    try:
        model = joblib.load(path)
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, ValueError, KeyError) as error:
        raise SourceError(f"{path.name} cannot be loaded: {str(error).strip().splitlines()[0][:200]}") from error
    return from_object(model, order)


def from_object(model: object, order: Order) -> Converted:
    """A classifier answers its probabilities, a regressor its number."""
    if not isinstance(model, BaseEstimator):
        raise SourceError(f"a {type(model).__name__} is no scikit-learn estimator")
    if len(order.output_names) != 1:
        raise SourceError(f"a scikit-learn model has one output here, {len(order.output_names)} were described")
    columns = {name: values if values.ndim > 1 else values[:, None] for name, values in order.samples.items()}
    outputs = [None, *order.output_names] if is_classifier(model) else order.output_names
    return Converted(
        graph=sklearn_export.convert(model, columns, outputs),
        reference={order.output_names[0]: _answers(model, columns)},
        framework=sklearn_export.FRAMEWORK,
        distribution=sklearn_export.FRAMEWORK_DISTRIBUTION,
        converter=sklearn_export.CONVERTER,
    )


def _answers(model: BaseEstimator, columns: dict[str, Array]) -> Array:
    if len(columns) == 1:
        rows: object = next(iter(columns.values()))
    else:
        rows = pd.DataFrame({name: values[:, 0] for name, values in columns.items()})
    answers = model.predict_proba(rows) if is_classifier(model) else model.predict(rows)
    return np.asarray(answers).reshape(len(next(iter(columns.values()))), -1)
