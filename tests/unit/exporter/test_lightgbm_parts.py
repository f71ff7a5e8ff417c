"""LightGBM inside scikit-learn's estimators answers at its thresholds as it does alone."""

from collections.abc import Callable

import lightgbm
import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.ensemble import VotingClassifier
from sklearn.pipeline import make_pipeline

from exporter.boosters import ZERO_THRESHOLD
from exporter.comparison import Outcome, compare_all
from exporter.conversion import Conversion, Request
from exporter.mended import told_of
from exporter.parity import DEFAULT_TOLERANCE
from exporter.sklearn_remedies import Remedy, remedied
from exporter.sources.scikit_learn import from_object
from exporter.sources.source import convert
from exporter.sources.splits import thresholds_of
from exporter.sources.tables import table_inputs

ROWS = np.random.default_rng(0).normal(size=(200, 2))
CLASSES = (ROWS[:, 0] + ROWS[:, 1] > 0) * 1


def trees() -> lightgbm.LGBMClassifier:
    return lightgbm.LGBMClassifier(n_estimators=5, min_child_samples=5, verbose=-1, n_jobs=1)


def exported(estimator: BaseEstimator) -> tuple[Conversion, Outcome]:
    request = Request("trees.pkl", "scikit-learn", output_names=("p",))
    conversion = convert(from_object(estimator.fit(ROWS, CLASSES), request, {}), request, {})
    return conversion, compare_all(conversion, ("p",), DEFAULT_TOLERANCE)


@pytest.mark.parametrize(
    "estimator",
    [
        VotingClassifier([("trees", trees())], voting="soft"),
        make_pipeline(trees()),
    ],
    ids=["vote", "pipeline"],
)
def test_lightgbm_in_another_estimator_is_equal_at_its_thresholds(estimator: BaseEstimator) -> None:
    conversion, outcome = exported(estimator)
    assert outcome.failure == ""
    assert "split thresholds" in {rows.kind for rows in conversion.row_sets}
    told = told_of(conversion, ("p",), DEFAULT_TOLERANCE)
    assert any(f"{Remedy.ROUNDED} (without it" in remedy for remedy in told.remedies)


@pytest.mark.parametrize("wrapped", [make_pipeline, lambda trees: VotingClassifier([("trees", trees)], voting="soft")])
def test_a_split_at_the_edge_of_zero_sends_the_edge_where_lightgbm_does(
    wrapped: Callable[[BaseEstimator], BaseEstimator],
) -> None:
    rows = np.random.default_rng(4).normal(size=(400, 3)).astype(np.float32)
    estimator = wrapped(lightgbm.LGBMClassifier(n_estimators=20, verbose=-1, n_jobs=1))
    estimator.fit(rows, (rows[:, 0] * rows[:, 1] + rows[:, 2] > 0) * 1)
    splits = thresholds_of(estimator)
    assert splits is not None
    assert -float(ZERO_THRESHOLD) in {value for values in splits.values() for value in values}
    request = Request("trees.pkl", "scikit-learn", output_names=("p",))
    conversion = convert(from_object(estimator, request, {}), request, {})
    assert compare_all(conversion, ("p",), DEFAULT_TOLERANCE).failure == ""


def test_the_thresholds_of_lightgbm_in_a_vote_are_those_of_its_trees() -> None:
    vote = VotingClassifier([("trees", trees())], voting="soft").fit(ROWS, CLASSES)
    thresholds = table_inputs(vote, {})[0].thresholds
    assert thresholds is not None
    frame = vote.estimators_[0].booster_.trees_to_dataframe().dropna(subset=["split_feature"])
    assert {value for values in thresholds.values() for value in values} == set(frame["threshold"])


def test_the_source_keeps_its_booster() -> None:
    vote = VotingClassifier([("trees", trees())], voting="soft").fit(ROWS, CLASSES)
    before = vote.estimators_[0].booster_.model_to_string()
    changed = remedied(vote, [Remedy.ROUNDED])
    assert vote.estimators_[0].booster_.model_to_string() == before
    assert changed.estimators_[0].booster_.model_to_string() != before
