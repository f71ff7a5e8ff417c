"""A scikit-learn estimator: of one array, of a table with one tensor a column, or of texts.

A classifier answers its probabilities (those that have none, their decision values), a regressor its number, a
transformer its features. What training knew of the columns, such as categories and thresholds, makes the hard rows.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, is_classifier, is_regressor

from exporter import sklearn as sklearn_export
from exporter import sklearn_remedies
from exporter.arrays import Array, Rows
from exporter.conversion import Findings, Request
from exporter.errors import SourceError
from exporter.sklearn_doubles import round_before_trees
from exporter.sklearn_missing import send_missing
from exporter.sklearn_refusals import hazards, refuse_what_cannot_be_converted
from exporter.sources.closed_columns import closed_columns
from exporter.sources.estimators import fitted_again
from exporter.sources.inputs import Input
from exporter.sources.source import Source
from exporter.sources.tables import columns_of, normalisation_of, reads_texts, table_inputs
from exporter.sources.ways import Naming, Remedy, Way


def from_file(path: Path, request: Request, samples: Rows) -> Source:  # noqa: ARG001 - a framework's module
    raise SourceError(f"{path.name} is no pickle, and scikit-learn has no other files")


def from_object(model: object, request: Request, samples: Rows) -> Source:
    """The samples' names are those of the table's columns, where there are several."""
    if not isinstance(model, BaseEstimator):
        raise SourceError(f"a {type(model).__name__} is no scikit-learn estimator")
    estimator = model
    refuse_what_cannot_be_converted(estimator)
    inputs = table_inputs(estimator, samples)
    chosen = sklearn_remedies.remedies(estimator, of_doubles=any(entry.dtype == "float64" for entry in inputs))

    def fit_again(rows: Sequence[Array], truth: Array) -> Source:
        return from_object(fitted_again(estimator, _as_trained(estimator, inputs, rows), truth), request, samples)

    def way_without(remedy: sklearn_remedies.Remedy) -> Remedy:
        others = tuple(other for other in chosen if other is not remedy)
        return Remedy(remedy.value, lambda naming: _graph(estimator, others, naming))

    return Source(
        framework=sklearn_export.FRAMEWORK,
        distribution=sklearn_export.FRAMEWORK_DISTRIBUTION,
        converter=sklearn_export.CONVERTER,
        inputs=inputs,
        answer=lambda rows: [answers(estimator, inputs, rows)],
        ways=(Way(lambda naming: _graph(estimator, chosen, naming), tuple(map(way_without, chosen))),),
        findings=Findings(
            labels=tuple(str(label) for label in estimator.classes_) if is_classifier(estimator) else (),
            columns=columns_of(estimator),
            categories=closed_columns(estimator),
            hazards=hazards(estimator),
            normalisation=normalisation_of(estimator) if len(inputs) == 1 else None,
        ),
        fit_again=fit_again if is_classifier(estimator) or is_regressor(estimator) else None,
    )


def _graph(estimator: BaseEstimator, chosen: Collection[sklearn_remedies.Remedy], naming: Naming) -> bytes:
    changed = sklearn_remedies.remedied(estimator, chosen)

    def edit(model: onnx.ModelProto) -> None:
        if sklearn_remedies.Remedy.MISSING_SENT in chosen:
            send_missing(model, changed)
        if sklearn_remedies.Remedy.SINGLES in chosen:
            round_before_trees(model)

    return sklearn_export.convert(
        changed,
        {name: as_column(values) for name, values in naming.example.items()},
        sklearn_export.output_names(estimator, naming.output_names),
        options=sklearn_remedies.options(changed, chosen),
        edit=edit,
        integer_flags=sklearn_remedies.Remedy.INTEGERS in chosen,
        scales_in_steps=sklearn_remedies.Remedy.STEPPED in chosen,
    )


def answers(estimator: BaseEstimator, inputs: Sequence[Input], rows: Sequence[Array]) -> Array:
    """[N, classes], [N, 1] or [N, features], as the graph is to answer."""
    table = _as_trained(estimator, inputs, rows)
    if is_classifier(estimator):
        ask = estimator.predict_proba if hasattr(estimator, "predict_proba") else estimator.decision_function
    else:
        ask = estimator.predict if is_regressor(estimator) or hasattr(estimator, "predict") else estimator.transform
    answered = ask(table)
    dense = answered.toarray() if sparse.issparse(answered) else np.asarray(answered)
    return dense.reshape(len(rows[0]), -1)


def as_column(values: Array) -> Array:
    return values if values.ndim > 1 else values[:, None]


def _as_trained(estimator: BaseEstimator, inputs: Sequence[Input], rows: Sequence[Array]) -> object:
    """What the estimator was fitted on: texts [N], a table with its column names, or an array."""
    columns = [as_column(values) for values in rows]
    if reads_texts(estimator):
        return columns[0][:, 0]
    names = list(columns_of(estimator))
    if len(columns) > 1:
        names = names or [entry.name for entry in inputs]
        return pd.DataFrame({name: values[:, 0] for name, values in zip(names, columns, strict=True)})
    return pd.DataFrame(columns[0], columns=names) if names else columns[0]
