"""Which columns take their categories alone, by the encoder that reads them, and what becomes of the others' rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, OrdinalEncoder

from exporter.sources.closed_columns import closed_columns
from exporter.sources.inputs import TEXT, Input
from exporter.sources.open_texts import open_texts_alone

TABLE = pd.DataFrame(
    {"hours": [1.0, 2.5, 3.0, 4.0] * 3, "kind": ["a", "b", "b", "a"] * 3, "rooms": [1, 2, 2, 3] * 3}
).astype({"kind": object})
CLASSES = [0, 0, 1, 1] * 3
IMPUTED = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())


def closed(encoder: object, columns: object) -> tuple[tuple[str, ...], ...]:
    parts = ColumnTransformer([("e", encoder, columns)], remainder="drop")
    return closed_columns(make_pipeline(parts, LogisticRegression()).fit(TABLE, CLASSES))


@pytest.mark.parametrize(
    "encoder", [OneHotEncoder(), OrdinalEncoder(), IMPUTED, FeatureUnion([("e", OneHotEncoder())])]
)
def test_an_encoder_that_refuses_the_unknown_closes_its_columns(encoder: object) -> None:
    assert closed(encoder, ["rooms", "kind"]) == ((), ("a", "b"), ("1", "2", "3"))


@pytest.mark.parametrize("columns", [[1], slice(1, 2), [False, True, False], make_column_selector("kind")])
def test_columns_are_found_however_they_were_stated(columns: object) -> None:
    assert closed(OrdinalEncoder(), columns) == ((), ("a", "b"), ())


@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(handle_unknown="ignore"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    ],
)
def test_an_encoder_that_takes_the_unknown_leaves_its_columns_open(encoder: object) -> None:
    assert closed(encoder, ["kind", "rooms"]) == ()


def test_categories_of_changed_values_are_none_that_a_caller_sends() -> None:
    bins = KBinsDiscretizer(2, encode="ordinal", quantile_method="averaged_inverted_cdf")
    assert closed(make_pipeline(bins, OneHotEncoder()), ["hours"]) == ()


def test_fractions_are_categories_too_and_a_missing_value_is_none() -> None:
    table = np.array([[1.0], [2.5], [np.nan], [1.0]])
    assert closed_columns(OrdinalEncoder().fit(table)) == (("1", "2.5"),)


def test_the_encoder_is_found_in_what_wraps_it() -> None:
    parts = ColumnTransformer([("e", OrdinalEncoder(), ["kind"]), ("n", "passthrough", ["hours"])])
    wrapped = CalibratedClassifierCV(make_pipeline(parts, LogisticRegression()), cv=2).fit(TABLE, CLASSES)
    assert closed_columns(wrapped) == ((), ("a", "b"), ())


def texts(*values: str) -> dict[str, np.ndarray]:
    return dict(zip(("closed", "open"), (np.array([[value]], object) for value in values), strict=True))


def test_odd_texts_are_tried_in_open_columns_while_closed_ones_hold_a_category() -> None:
    inputs = [Input("closed", TEXT, (1,)), Input("open", TEXT, (1,))]
    kinds = [("ordinary", texts("a", "x")), ("unseen texts", texts("??", "??"))]
    _, (_, rows) = open_texts_alone(inputs, (("a",), ()), kinds)
    assert (rows["closed"].tolist(), rows["open"].tolist()) == ([["a"]], [["??"]])


def test_where_every_text_is_closed_the_source_refuses_the_odd_ones_itself() -> None:
    inputs = [Input("closed", TEXT, (1,)), Input("open", TEXT, (1,))]
    kinds = [("ordinary", texts("a", "x")), ("unseen texts", texts("??", "??"))]
    assert list(open_texts_alone(inputs, (("a",), ("x",)), kinds)) == kinds
