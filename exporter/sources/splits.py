"""Where fitted trees split the columns of the table that they read, behind scalers too."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from exporter.boosters import lightgbm_booster, lightgbm_thresholds, spread, xgboost_booster, xgboost_thresholds
from exporter.sources.estimators import parts

_MOST_THRESHOLDS = 100
# Steps that answer a column for each column, by that column alone.
_SCALERS = (StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler)


def thresholds_of(estimator: BaseEstimator) -> dict[int, tuple[float, ...]] | None:
    """Column -> thresholds, as they stand in the table. Behind any step but a scaler the columns are others: None."""
    *before, last = [step for _, step in estimator.steps] if isinstance(estimator, Pipeline) else [estimator]
    scalers = [step for step in before if step not in ("passthrough", None)]
    if not all(isinstance(step, _SCALERS) for step in scalers):
        return None
    if isinstance(last, Pipeline):
        found = thresholds_of(last) or {}
    else:
        found = {column: spread(values, _MOST_THRESHOLDS) for column, values in _splits_in(last).items()}
    return {column: _unscaled(scalers, column, values) for column, values in found.items()} or None


def _unscaled(scalers: Sequence[BaseEstimator], column: int, thresholds: Sequence[float]) -> tuple[float, ...]:
    values = np.array(thresholds)
    for scaler in reversed(scalers):
        rows = np.zeros((len(values), scaler.n_features_in_))
        rows[:, column] = values
        values = scaler.inverse_transform(rows)[:, column]
    return tuple(map(float, values))


def _splits_in(estimator: object) -> dict[int, list[float]]:
    found: dict[int, set[float]] = defaultdict(set)
    for part in parts(estimator):
        for column, threshold in _splits(part):
            found[column].add(threshold)
    return {column: sorted(values) for column, values in found.items()}


def _splits(part: object) -> Iterator[tuple[int, float]]:
    if hasattr(part, "tree_"):
        tree = part.tree_
        for column, threshold in zip(tree.feature, tree.threshold, strict=True):
            if column >= 0:
                yield int(column), float(threshold)
    for predictor in (p for stage in getattr(part, "_predictors", ()) for p in stage):
        for node in predictor.nodes[predictor.nodes["is_leaf"] == 0]:
            yield int(node["feature_idx"]), float(node["num_threshold"])
    if (lightgbm := lightgbm_booster(part)) is not None:
        yield from _each(lightgbm_thresholds(lightgbm))
    if (xgboost := xgboost_booster(part)) is not None:
        yield from _each(xgboost_thresholds(xgboost))


def _each(thresholds: dict[int, tuple[float, ...]]) -> Iterator[tuple[int, float]]:
    for column, values in thresholds.items():
        yield from ((column, value) for value in values)
