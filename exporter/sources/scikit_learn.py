"""A scikit-learn estimator: of one array, or of a table with one column a sample array.

A classifier answers its probabilities, a regressor its number.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, is_classifier

from exporter import sklearn as sklearn_export
from exporter.arrays import Array, Rows
from exporter.conversion import Request
from exporter.errors import SourceError
from exporter.sources.source import Naming, Source


def from_file(path: Path, request: Request, samples: Rows) -> Source:  # noqa: ARG001 - a framework's module
    raise SourceError(f"{path.name} is no pickle, and scikit-learn has no other files")


def from_object(model: object, request: Request, samples: Rows) -> Source:  # noqa: ARG001 - a framework's module
    """The samples' names are those of the table's columns, where there are several."""
    if not isinstance(model, BaseEstimator):
        raise SourceError(f"a {type(model).__name__} is no scikit-learn estimator")
    estimator, names = model, tuple(samples)

    def to_graph(naming: Naming) -> bytes:
        columns = {name: _column(values) for name, values in naming.example.items()}
        outputs = [None, *naming.outputs] if is_classifier(estimator) else naming.outputs
        return sklearn_export.convert(estimator, columns, outputs)

    return Source(
        framework=sklearn_export.FRAMEWORK,
        distribution=sklearn_export.FRAMEWORK_DISTRIBUTION,
        converter=sklearn_export.CONVERTER,
        input_count=None,
        answer=lambda rows: [_answers(estimator, names, rows)],
        to_graph=to_graph,
    )


def _answers(estimator: BaseEstimator, names: Sequence[str], rows: Sequence[Array]) -> Array:
    columns = [_column(values) for values in rows]
    table: object = columns[0]
    if len(columns) > 1:
        table = pd.DataFrame({name: values[:, 0] for name, values in zip(names, columns, strict=True)})
    answers = estimator.predict_proba(table) if is_classifier(estimator) else estimator.predict(table)
    return np.asarray(answers).reshape(len(columns[0]), -1)


def _column(values: Array) -> Array:
    return values if values.ndim > 1 else values[:, None]
