"""Which remedies an estimator has, what each changes, and that the estimator itself is never touched."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from exporter.errors import SourceError
from exporter.run_graph import run_graph
from exporter.sklearn import convert
from exporter.sklearn_refusals import hazards, refuse_what_cannot_be_converted
from exporter.sklearn_remedies import Remedy, options, remedied, remedies

ROWS = np.random.default_rng(0).normal(size=(60, 2))
CLASSES = (ROWS[:, 0] > 0) * 1
KINDS = np.array([["a"], ["b"], ["c"]] * 20, object)


@pytest.fixture(scope="module")
def sparse() -> Pipeline:
    return make_pipeline(OneHotEncoder(), XGBClassifier(n_estimators=2)).fit(KINDS, CLASSES)


def test_a_plain_linear_model_has_nothing_to_mend() -> None:
    assert remedies(LogisticRegression().fit(ROWS, CLASSES)) == ()


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (make_pipeline(StandardScaler(), LogisticRegression()), {Remedy.DIVIDED}),
        (DecisionTreeClassifier(random_state=0), {Remedy.ROUNDED, Remedy.MISSING_SENT}),
        (HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=5), {Remedy.ROUNDED, Remedy.INTEGERS}),
        (VotingClassifier([("a", LogisticRegression())], voting="soft"), {Remedy.UNFLATTENED}),
    ],
)
def test_each_part_that_a_converter_gets_wrong_has_its_remedy(estimator, expected: set[Remedy]) -> None:
    assert set(remedies(estimator.fit(ROWS, CLASSES))) == expected


def test_lower_case_is_a_remedy_of_texts_alone_that_are_lowered() -> None:
    texts = ["Red day", "green day"]
    assert Remedy.LOWERED in remedies(CountVectorizer().fit(texts))
    assert Remedy.LOWERED not in remedies(CountVectorizer(lowercase=False).fit(texts))


def counted(vectoriser: CountVectorizer, text: str) -> tuple[list[float], list[float]]:
    """What the graph with its remedies and what the vectoriser itself counts in the text."""
    graph = convert(
        vectoriser,
        {"text": np.array([["a"]], object)},
        ["counts"],
        options=options(vectoriser, remedies(vectoriser)),
    )
    answered = run_graph(graph, {"text": np.array([[text]], object)})["counts"]
    return answered.ravel().tolist(), vectoriser.transform([text]).toarray().ravel().tolist()


@pytest.mark.parametrize("pairs", [1, 2])
def test_words_end_where_the_default_token_pattern_ends_them(pairs: int) -> None:
    vectoriser = CountVectorizer(ngram_range=(1, pairs), lowercase=False).fit(["touch one x more", "école of a day"])
    assert Remedy.SPLIT in remedies(vectoriser)
    answered, expected = counted(vectoriser, "Touché touché étouch école one y more 日本touch a touch")
    assert answered == expected
    assert sum(expected) >= 4


def test_a_token_pattern_of_ones_own_is_left_as_it_is() -> None:
    assert remedies(CountVectorizer(lowercase=False, token_pattern="[a-z]+").fit(["one x more"])) == ()


def test_zeros_before_xgboost_are_marked_where_its_matrix_is_sparse_alone(sparse: Pipeline) -> None:
    dense = make_pipeline(OneHotEncoder(sparse_output=False), XGBClassifier(n_estimators=2)).fit(KINDS, CLASSES)
    assert remedies(sparse) == (Remedy.ZEROS_MISSING,)
    assert remedies(dense) == ()
    assert [name for name, _ in remedied(sparse, remedies(sparse)).steps][1] == "zero_is_missing"


def test_the_source_itself_is_not_changed(sparse: Pipeline) -> None:
    tree = DecisionTreeClassifier(random_state=0).fit(ROWS, CLASSES)
    before = tree.tree_.threshold.copy()
    changed = remedied(tree, [Remedy.ROUNDED])
    assert np.array_equal(tree.tree_.threshold, before)
    assert (changed.tree_.threshold <= before).all()
    assert np.array_equal(changed.tree_.threshold, changed.tree_.threshold.astype(np.float32))
    remedied(sparse, [Remedy.ZEROS_MISSING])
    assert len(sparse.steps) == 2


def test_a_remedy_that_is_left_out_changes_nothing() -> None:
    model = make_pipeline(StandardScaler(), DecisionTreeClassifier(random_state=0)).fit(ROWS, CLASSES)
    changed = remedied(model, [])
    assert np.array_equal(changed[-1].tree_.threshold, model[-1].tree_.threshold)
    assert options(changed, []) == {}
    assert list(options(changed, [Remedy.DIVIDED]).values()) == [{"div": "div"}]


@pytest.mark.parametrize(
    ("estimator", "says"),
    [
        (FunctionTransformer(np.arcsinh), "FunctionTransformer runs Python code .arcsinh., which no graph holds"),
        (TfidfVectorizer(analyzer="char_wb"), "analyzer='char_wb' cannot be converted"),
        (TfidfVectorizer(tokenizer=str.split), "a vectoriser with Python code of its own"),
        (TfidfVectorizer(strip_accents="unicode"), "strip_accents cannot be converted"),
        (TfidfVectorizer(sublinear_tf=True), "sublinear_tf becomes log.1 . n. in the graph"),
        (HashingVectorizer(), "HashingVectorizer cannot be converted: train with TfidfVectorizer"),
    ],
)
def test_what_cannot_be_converted_is_refused_with_what_to_train_instead(estimator, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        refuse_what_cannot_be_converted(make_pipeline(estimator, LogisticRegression()))


def test_a_function_transformer_without_a_function_is_no_code() -> None:
    refuse_what_cannot_be_converted(make_pipeline(FunctionTransformer(), LogisticRegression()))


def test_categories_that_histogram_boosting_splits_by_itself_are_refused() -> None:
    rows = np.column_stack([np.arange(60) % 3, ROWS[:, 0]])
    model = HistGradientBoostingClassifier(max_iter=2, categorical_features=[0]).fit(rows, CLASSES)
    with pytest.raises(SourceError, match="categorical_features of HistGradientBoosting cannot be converted"):
        refuse_what_cannot_be_converted(model)


def test_known_causes_are_told_of_the_estimators_that_have_them(sparse: Pipeline) -> None:
    assert "OneHotEncoder(sparse_output=False)" in hazards(sparse)[0]
    scaled = make_pipeline(StandardScaler(), RandomForestClassifier(2)).fit(ROWS, CLASSES)
    assert "leave the scaler out" in hazards(scaled)[0]
    assert (
        "leave the scaler out"
        in hazards(make_pipeline(MinMaxScaler(), RandomForestClassifier(2)).fit(ROWS, CLASSES))[0]
    )
    assert hazards(LogisticRegression().fit(ROWS, CLASSES)) == ()
