"""Trees deep inside an estimator: tried where they read the table itself, and not where they read another one."""

from collections.abc import Callable

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.base import BaseEstimator
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import ClassifierChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from exporter.sources.hard_rows import row_sets
from exporter.sources.splits import thresholds_of
from exporter.sources.tables import table_inputs

TABLE = np.random.default_rng(0).normal(size=(200, 2))
CLASSES = (TABLE[:, 0] * TABLE[:, 1] > 0) * 1


def xgb() -> BaseEstimator:
    return xgboost.XGBClassifier(n_estimators=5)


def lgbm() -> BaseEstimator:
    return lightgbm.LGBMClassifier(n_estimators=5, min_child_samples=5, verbose=-1, n_jobs=1)


def products(last: BaseEstimator) -> BaseEstimator:
    return make_pipeline(PolynomialFeatures(), last)


def vote(*parts: BaseEstimator) -> BaseEstimator:
    return VotingClassifier([(f"part_{n}", part) for n, part in enumerate(parts)], voting="soft")


def stack(*parts: BaseEstimator) -> BaseEstimator:
    named = [(f"part_{n}", part) for n, part in enumerate(parts)]
    return StackingClassifier(named, final_estimator=xgb(), cv=2)


INNER_TABLES = {
    "search, XGBoost": lambda: GridSearchCV(products(xgb()), {}, cv=2),
    "search, LightGBM": lambda: GridSearchCV(products(lgbm()), {}, cv=2),
    "vote, XGBoost": lambda: vote(products(xgb())),
    "vote, LightGBM": lambda: vote(products(lgbm())),
    "scaled vote": lambda: make_pipeline(StandardScaler(), vote(products(DecisionTreeClassifier()))),
    "scaled stack": lambda: make_pipeline(StandardScaler(), stack(LogisticRegression())),
    "stack": lambda: stack(*(LogisticRegression(C=c) for c in (0.1, 1, 10))),
}


@pytest.mark.parametrize("estimator", INNER_TABLES.values(), ids=INNER_TABLES)
def test_trees_that_read_an_inner_table_are_not_tried_at_columns_of_the_given_one(
    estimator: Callable[[], BaseEstimator],
) -> None:
    assert table_inputs(estimator().fit(TABLE, CLASSES), {})[0].thresholds is None


def test_columns_that_the_table_does_not_have_are_not_tried() -> None:
    targets = np.stack([CLASSES, 1 - CLASSES], axis=1)
    chain = make_pipeline(StandardScaler(), ClassifierChain(DecisionTreeClassifier())).fit(TABLE, targets)
    inputs = table_inputs(chain, {})
    assert inputs[0].thresholds
    assert inputs[0].thresholds.keys() <= {0, 1}
    assert "split thresholds" in dict(row_sets(inputs, {}))


def test_columns_appended_to_the_table_are_not_tried() -> None:
    targets = np.stack([CLASSES, 1 - CLASSES], axis=1)
    (given,) = table_inputs(ClassifierChain(DecisionTreeClassifier()).fit(TABLE, targets), {})
    assert given.thresholds
    assert given.thresholds.keys() <= {0, 1}


def test_trees_behind_a_scaler_in_a_vote_are_tried_where_they_split_the_table() -> None:
    tree = DecisionTreeClassifier(max_depth=2)
    inner = thresholds_of(vote(make_pipeline(StandardScaler(), tree)).fit(5 * TABLE, CLASSES))
    alone = thresholds_of(tree.fit(5 * TABLE, CLASSES))
    assert inner is not None
    assert alone is not None
    assert {column: pytest.approx(values) for column, values in alone.items()} == inner
