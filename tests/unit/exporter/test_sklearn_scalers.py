"""Scalers answer to the bit as scikit-learn does, and trees behind them are tried where they split the table."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from exporter.comparison import compare_all
from exporter.conversion import Request
from exporter.mended import told_of
from exporter.parity import DEFAULT_TOLERANCE
from exporter.run_graph import run_graph
from exporter.sklearn import convert as to_graph
from exporter.sklearn_remedies import Remedy
from exporter.sources.scikit_learn import from_object
from exporter.sources.source import convert
from exporter.sources.splits import thresholds_of

TABLE = np.random.default_rng(0).integers(0, 1000, (300, 2)) / [1.0, 7.0]
CLASSES = (TABLE[:, 0] + 7 * TABLE[:, 1] > 1000) * 1
SCALERS = [
    MinMaxScaler(),
    MinMaxScaler(feature_range=(-2, 3), clip=True),
    MaxAbsScaler(),
    MaxAbsScaler(clip=True),
    RobustScaler(),
    RobustScaler(with_centering=False),
    RobustScaler(with_scaling=False),
]


def answered(estimator: BaseEstimator, rows: dict[str, np.ndarray]) -> np.ndarray:
    return run_graph(to_graph(estimator, rows, ["scaled"]), rows)["scaled"]


@pytest.mark.parametrize("scaler", SCALERS, ids=str)
def test_float32_rows_are_scaled_to_the_bit_as_scikit_learn_does(scaler: BaseEstimator) -> None:
    rows = np.concatenate([TABLE, 3 * TABLE, -TABLE, [[np.nan, 1.0]]]).astype(np.float32)
    scaled = scaler.fit(TABLE).transform(rows)
    assert scaled.dtype == np.float32
    assert np.array_equal(answered(scaler, {"x": rows}), scaled, equal_nan=True)


def test_whole_numbers_are_not_rounded_between_the_steps() -> None:
    rows = np.arange(100_000, 100_500)[:, None]
    scaler = MinMaxScaler().fit(rows / 3)
    assert np.array_equal(answered(scaler, {"x": rows}), scaler.transform(rows).astype(np.float32))


def test_columns_of_different_types_are_scaled_side_by_side() -> None:
    table = pd.DataFrame({"whole": np.arange(50), "part": (np.arange(50) / 7).astype(np.float32)})
    scaler = MinMaxScaler().fit(table)
    rows = {name: table[name].to_numpy()[:, None] for name in table}
    assert np.array_equal(answered(scaler, rows), scaler.transform(table).astype(np.float32))


@pytest.mark.parametrize("scaler", [MinMaxScaler(), MaxAbsScaler(), RobustScaler()], ids=str)
def test_trees_behind_a_scaler_are_equal_at_their_thresholds_by_the_remedy(scaler: BaseEstimator) -> None:
    request = Request("trees.pkl", "scikit-learn", output_names=("p",))
    estimator = make_pipeline(scaler, XGBClassifier(n_estimators=5)).fit(TABLE, CLASSES)
    conversion = convert(from_object(estimator, request, {}), request, {})
    assert compare_all(conversion, ("p",), DEFAULT_TOLERANCE).failure == ""
    told = told_of(conversion, ("p",), DEFAULT_TOLERANCE)
    assert told.remedies[0].startswith(f"{Remedy.STEPPED} (without it rows of kind 'split thresholds'")


@pytest.mark.parametrize("scaler", [StandardScaler(), *SCALERS], ids=str)
def test_thresholds_behind_scalers_are_told_as_they_stand_in_the_table(scaler: BaseEstimator) -> None:
    tree = DecisionTreeClassifier(max_depth=1)
    alone = thresholds_of(tree.fit(TABLE, CLASSES))
    behind = thresholds_of(make_pipeline("passthrough", scaler, tree).fit(TABLE, CLASSES))
    assert alone is not None
    assert behind is not None
    assert behind.keys() == alone.keys()
    assert [values[0] for values in behind.values()] == pytest.approx(
        [values[0] for values in alone.values()], rel=1e-3
    )


def test_thresholds_of_xgboost_behind_a_scaler_are_among_the_tables_values() -> None:
    table, named = pd.DataFrame(TABLE, columns=["calls", "age"]), MinMaxScaler().set_output(transform="pandas")
    found = thresholds_of(make_pipeline(named, XGBClassifier(n_estimators=2)).fit(table, CLASSES))
    assert found is not None
    for column, values in found.items():
        distances = np.abs(np.array(values)[:, None] - TABLE[:, column]).min(axis=1)
        assert distances.max() < 1e-3


def test_thresholds_behind_a_step_that_mixes_columns_are_none() -> None:
    tree = DecisionTreeClassifier(max_depth=1)
    assert thresholds_of(make_pipeline(MinMaxScaler(), PCA(), tree).fit(TABLE, CLASSES)) is None
