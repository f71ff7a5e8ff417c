"""A forest of scikit-learn rounds float64 to float32 before its trees, and so does its graph."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from exporter.comparison import compare_all
from exporter.conversion import Request
from exporter.mended import told_of
from exporter.parity import DEFAULT_TOLERANCE
from exporter.sklearn_remedies import Remedy
from exporter.sources.scikit_learn import from_object
from exporter.sources.source import convert

TABLE = np.random.default_rng(0).normal(size=(300, 3)) * [1, 100, 0.1]
CLASSES = (TABLE[:, 0] * TABLE[:, 1] + TABLE[:, 2] > 0) * 1


def forest() -> RandomForestClassifier:
    return RandomForestClassifier(20, random_state=0)


@pytest.mark.parametrize(
    "estimator",
    [forest(), make_pipeline(StandardScaler(), forest()), make_pipeline(MinMaxScaler(), forest())],
    ids=["alone", "standardised", "scaled"],
)
def test_a_forest_of_float64_is_equal_at_its_thresholds_by_the_remedy(estimator: BaseEstimator) -> None:
    request, samples = Request("trees.pkl", "scikit-learn", output_names=("p",)), {"features": TABLE}
    conversion = convert(from_object(estimator.fit(TABLE, CLASSES), request, samples), request, samples)
    assert "split thresholds" in {rows.kind for rows in conversion.row_sets}
    assert compare_all(conversion, ("p",), DEFAULT_TOLERANCE).failure == ""
    told = told_of(conversion, ("p",), DEFAULT_TOLERANCE)
    assert any(f"{Remedy.SINGLES} (without it rows of kind" in remedy for remedy in told.remedies)


def test_a_forest_of_float32_needs_no_rounding() -> None:
    request, samples = Request("trees.pkl", "scikit-learn", output_names=("p",)), {"features": np.float32(TABLE)}
    conversion = convert(from_object(forest().fit(TABLE, CLASSES), request, samples), request, samples)
    assert Remedy.SINGLES not in {mend.words for mend in conversion.mends}
