"""Where fitted trees split the columns of the table that they read, behind scalers too."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline

from exporter.boosters import lightgbm_booster, lightgbm_thresholds, spread, xgboost_booster, xgboost_thresholds
from exporter.sklearn_remedies import SCALERS
from exporter.sources.estimators import parts

_MOST_THRESHOLDS = 100


def thresholds_of(estimator: BaseEstimator) -> dict[int, tuple[float, ...]] | None:
    """Column -> thresholds, as they stand in the table. Behind any step but a scaler the columns are others: None."""
    found = {column: spread(sorted(values), _MOST_THRESHOLDS) for column, values in _splits_in(estimator).items()}
    return found or None


def _splits_in(estimator: object) -> dict[int, set[float]]:
    """Of every tree that reads the table itself or scaled, however deep it lies."""
    found: dict[int, set[float]] = defaultdict(set)
    for part in parts(estimator, _readers_of_the_table):
        for column, threshold in _splits_behind(part) if isinstance(part, Pipeline) else _splits(part):
            found[column].add(threshold)
    return found


def _readers_of_the_table(part: object) -> Iterator[object]:
    """What a part holds, without what reads a table that the part itself makes: a stack's answers, chosen columns."""
    if not isinstance(part, Pipeline | ColumnTransformer | FeatureUnion):
        yield from (held for name, held in vars(part).items() if name != "final_estimator_")


def _splits_behind(pipeline: Pipeline) -> Iterator[tuple[int, float]]:
    """Of the last step, where all before it are scalers."""
    *before, last = [step for _, step in pipeline.steps]
    scalers = [step for step in before if step not in ("passthrough", None)]
    if all(isinstance(step, SCALERS) for step in scalers):
        for column, values in _splits_in(last).items():
            yield from ((column, value) for value in _unscaled(scalers, column, sorted(values)))


def _unscaled(scalers: Sequence[BaseEstimator], column: int, thresholds: Sequence[float]) -> tuple[float, ...]:
    """None of a column that the scalers do not have: what stands behind them appended it."""
    values = np.array(thresholds)
    for scaler in reversed(scalers):
        if column >= scaler.n_features_in_:
            return ()
        rows = np.zeros((len(values), scaler.n_features_in_))
        rows[:, column] = values
        values = scaler.inverse_transform(rows)[:, column]
    return tuple(map(float, values))


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
