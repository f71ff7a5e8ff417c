"""What a fitted scikit-learn estimator tells of the table or the texts that it reads.

Columns have names where it was fitted on a table. Which of them are texts is known from the encoders that learnt their
categories; the thresholds of every tree that reads the table as it is, or scaled, are known as well.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from exporter.arrays import Array, Rows
from exporter.errors import SourceError
from exporter.normalisation import Normalisation
from exporter.sources.estimators import parts
from exporter.sources.inputs import TEXT, Input
from exporter.sources.splits import thresholds_of

_VECTORISERS = (CountVectorizer, HashingVectorizer)


def reads_texts(estimator: BaseEstimator) -> bool:
    """Whether it reads a list of texts and no table."""
    return isinstance(_first(estimator), _VECTORISERS)


def columns_of(estimator: BaseEstimator) -> tuple[str, ...]:
    """The names of the table's columns; empty where it was fitted on an array."""
    return tuple(str(name) for name in getattr(estimator, "feature_names_in_", ()))


def table_inputs(estimator: BaseEstimator, samples: Rows) -> tuple[Input, ...]:
    """One tensor where all columns are numbers or the samples are one array, else a tensor a column."""
    if reads_texts(estimator):
        return (Input("text", TEXT, (1,), categories=_vocabulary(estimator), has_words=True),)
    names, count = columns_of(estimator), getattr(estimator, "n_features_in_", 0)
    if not count and not samples:
        raise SourceError("the estimator does not tell its columns: is it fitted? --samples tells them as well")
    categories = _categories(estimator, names)
    if len(samples) > 1 or (categories and len(samples) != 1):
        return tuple(_column(name, categories, samples) for name in _ordered(names, samples))
    values = next(iter(samples.values()), np.zeros((1, count), np.float32))
    width = values.shape[1] if values.ndim > 1 else 1
    dtype = TEXT if values.dtype.kind in "OUS" else str(values.dtype)
    known = {column: found for column, found in (thresholds_of(estimator) or {}).items() if column < width}
    typical = _typical(estimator, width, known)
    return (Input("features", dtype, (width,), thresholds=known or None, typical=typical, large=1e2),)


def _ordered(names: Sequence[str], samples: Rows) -> Sequence[str]:
    if samples and names and set(samples) != set(names):
        unknown = sorted(set(samples) ^ set(names))
        raise SourceError(f"the samples' names are not the columns that were trained: {', '.join(unknown[:5])} differ")
    return names or list(samples)


def _column(name: str, categories: dict[str, Array], samples: Rows) -> Input:
    if name in categories:
        known = categories[name]
        if known.dtype.kind in "OUS":
            return Input(name, TEXT, (1,), categories=tuple(str(value) for value in known if isinstance(value, str)))
        whole = known.astype(np.float64)
        dtype = str(samples[name].dtype) if name in samples else "int64" if known.dtype.kind in "iu" else "float32"
        return Input(name, dtype, (1,), whole_numbers=(int(np.nanmin(whole)), int(np.nanmax(whole))))
    if name in samples and samples[name].dtype.kind in "OUS":
        return Input(name, TEXT, (1,))
    return Input(name, str(samples[name].dtype) if name in samples else "float32", (1,), large=1e2)


def _categories(estimator: BaseEstimator, names: Sequence[str]) -> dict[str, Array]:
    """The categories that encoders learnt, by column; a vectoriser's column is one without categories."""
    found: dict[str, Array] = {}
    for transformer in (part for part in parts(estimator) if isinstance(part, ColumnTransformer)):
        for _, step, columns in transformer.transformers_:
            if isinstance(columns, str):
                found[columns] = np.array([], object)
            for part in parts(step):
                if hasattr(part, "categories_"):
                    chosen = [
                        names[int(c)] if isinstance(c, int | np.integer) else str(c) for c in np.atleast_1d(columns)
                    ]
                    found.update(zip(chosen, map(np.asarray, part.categories_), strict=False))
    return found


def _vocabulary(estimator: BaseEstimator) -> tuple[str, ...]:
    return tuple(getattr(_first(estimator), "vocabulary_", ()))[:2000]


def _typical(
    estimator: BaseEstimator, width: int, thresholds: Mapping[int, tuple[float, ...]]
) -> tuple[tuple[float, float], ...]:
    """Where a scaler or an imputer found the columns, or where the trees split them."""
    first = _first(estimator)
    centre, spread = getattr(first, "mean_", getattr(first, "statistics_", None)), getattr(first, "scale_", None)
    if centre is not None and np.shape(centre) == (width,):
        spreads = np.ones(width) if spread is None or np.shape(spread) != (width,) else spread
        return tuple((float(c), float(s)) for c, s in zip(centre, spreads, strict=True))
    if not thresholds:
        return ((0.0, 1.0),)
    return tuple(_middle(thresholds.get(column, ())) for column in range(width))


def _middle(values: Sequence[float]) -> tuple[float, float]:
    return (float(np.mean(values)), float(np.std(values)) or 1.0) if values else (0.0, 1.0)


def normalisation_of(estimator: BaseEstimator) -> Normalisation | None:
    """That of a StandardScaler that reads the table first."""
    first = _first(estimator)
    if not isinstance(first, StandardScaler):
        return None
    mean = tuple(map(float, first.mean_)) if first.with_mean else (0.0,)
    return Normalisation(mean=mean, std=tuple(map(float, first.scale_)) if first.with_std else (1.0,))


def _first(estimator: BaseEstimator) -> object:
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[0][1]
    return estimator
