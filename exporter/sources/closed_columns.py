"""Which columns of a scikit-learn estimator are closed: their encoder knows some values and refuses all others.

A graph refuses nothing by itself: of an OrdinalEncoder it answers an unknown value as if it were some known one, of a
OneHotEncoder its run fails. So the categories go into the manifest, and the service refuses others as the source does.
An encoder counts where it reads the column as callers send it; behind a step that changes values (other than filling in
missing ones) its categories are none that a caller could send.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from exporter.arrays import Array

# Where searches, calibrations, votes and the like have what they wrap, fitted.
_WRAPPED = ("best_estimator_", "estimator_", "estimator", "estimators_", "calibrated_classifiers_", "regressor_")


def closed_columns(estimator: BaseEstimator) -> tuple[tuple[str, ...], ...]:
    """Of each column of the table its categories, as text; none of a column that takes any. Empty where all do."""
    width = getattr(estimator, "n_features_in_", 0)
    found: dict[int, tuple[str, ...]] = {}
    for encoder, places in _encoders(estimator, range(width)):
        # An imputer before it may have added columns behind them.
        found |= {place: tuple(_written(known)) for place, known in zip(places, encoder.categories_, strict=False)}
    return tuple(found.get(place, ()) for place in range(width)) if found else ()


def _encoders(step: object, places: Sequence[int]) -> Iterator[tuple[OneHotEncoder | OrdinalEncoder, Sequence[int]]]:
    """Those that refuse the unknown, each with the table's columns that it reads."""
    if isinstance(step, OneHotEncoder | OrdinalEncoder):
        if step.handle_unknown == "error" and len(getattr(step, "categories_", ())) >= len(places):
            yield step, places
    elif isinstance(step, Pipeline):
        changing = (inner for _, inner in step.steps if not isinstance(inner, SimpleImputer | str | None))
        yield from _encoders(next(changing, None), places)
    elif isinstance(step, ColumnTransformer):
        # It has no public word for the columns of a part, which may be names, places, a slice or a mask.
        columns: Mapping[str, Sequence[int]] = vars(step).get("_transformer_to_input_indices", {})
        for name, inner, _ in getattr(step, "transformers_", ()):  # none of a template that was never fitted
            yield from _encoders(inner, [places[column] for column in columns[name]])
    elif isinstance(step, FeatureUnion):
        for _, inner in step.transformer_list:
            yield from _encoders(inner, places)
    else:
        for inner in _wrapped(step):
            yield from _encoders(inner, places)


def _wrapped(step: object) -> Iterator[object]:
    for attribute in _WRAPPED:
        held = getattr(step, attribute, None)
        if isinstance(held, np.ndarray):
            yield from held.ravel().tolist()
        elif held is not None:
            yield from held if isinstance(held, list) else [held]


def _written(known: Array) -> Iterator[str]:
    """The categories as the manifest has them; a missing value is none, its policy says what becomes of it."""
    for value in np.asarray(known).tolist():
        if isinstance(value, str):
            yield value
        elif isinstance(value, float) and not value.is_integer():
            yield from () if math.isnan(value) else (repr(value),)
        elif isinstance(value, int | float):
            yield str(int(value))
