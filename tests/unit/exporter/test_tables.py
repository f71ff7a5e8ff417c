"""What a fitted estimator tells of the table that it reads: columns, categories, thresholds, where values lie."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from exporter.errors import SourceError
from exporter.sources.inputs import TEXT
from exporter.sources.tables import columns_of, table_inputs

ROWS = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0]])
CLASSES = [0, 0, 1, 1]


@pytest.fixture(scope="module")
def mixed() -> Pipeline:
    table = pd.DataFrame({"hours-per-week": [1.0, 2.0, 3.0, 4.0], "kind": ["a", "b", "b", "a"], "rooms": [1, 2, 2, 3]})
    table["kind"] = table["kind"].astype(object)
    parts = ColumnTransformer([("n", "passthrough", ["hours-per-week"]), ("t", OneHotEncoder(), ["kind", "rooms"])])
    return make_pipeline(parts, LogisticRegression()).fit(table, CLASSES)


def test_mixed_columns_are_a_tensor_each_with_what_the_encoder_learnt(mixed: Pipeline) -> None:
    hours, kind, rooms = table_inputs(mixed, {})
    assert (hours.name, hours.dtype, hours.shape) == ("hours-per-week", "float32", (1,))
    assert (kind.dtype, kind.categories) == (TEXT, ("a", "b"))
    assert (rooms.dtype, rooms.whole_numbers) == ("int64", (1, 3))


def test_samples_whose_names_are_not_the_trained_columns_are_refused(mixed: Pipeline) -> None:
    samples = {"hours": ROWS[:, :1], "kind": np.array([["a"]], object), "rooms": np.ones((1, 1), np.int64)}
    with pytest.raises(SourceError, match="not the columns that were trained: hours, hours-per-week differ"):
        table_inputs(mixed, samples)


def test_numbers_alone_are_one_tensor_that_lies_where_the_scaler_found_it() -> None:
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(ROWS, CLASSES)
    (given,) = table_inputs(model, {})
    assert (given.name, given.dtype, given.shape) == ("features", "float32", (2,))
    assert given.typical[0] == pytest.approx((2.5, np.std(ROWS[:, 0])))
    assert given.typical[1] == pytest.approx((25.0, np.std(ROWS[:, 1])))


def test_trees_that_read_the_table_tell_their_thresholds() -> None:
    (given,) = table_inputs(DecisionTreeClassifier(random_state=0).fit(ROWS, CLASSES), {})
    assert given.thresholds is not None
    assert {threshold for values in given.thresholds.values() for threshold in values} <= {2.5, 25.0}


def test_of_many_thresholds_those_that_are_tried_reach_from_end_to_end() -> None:
    rows = np.arange(1000.0)[:, None]
    (given,) = table_inputs(DecisionTreeClassifier(random_state=0).fit(rows, np.arange(1000) % 2), {})
    assert given.thresholds is not None
    assert len(given.thresholds[0]) <= 100
    assert given.thresholds[0][0] < 10
    assert given.thresholds[0][-1] > 980


def test_a_vectoriser_reads_texts_made_of_its_vocabulary() -> None:
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["red day", "green day"] * 2, CLASSES)
    (given,) = table_inputs(model, {})
    assert (given.name, given.dtype) == ("text", TEXT)
    assert set(given.categories) == {"red", "green", "day"}


def test_an_estimator_that_was_never_fitted_says_so() -> None:
    with pytest.raises(SourceError, match="is it fitted"):
        table_inputs(LinearRegression(), {})


def test_an_estimator_of_an_array_has_no_names_of_columns() -> None:
    assert columns_of(LinearRegression().fit(ROWS, CLASSES)) == ()
