"""XGBoost's models of the matrix: alone, from its own files, and at the end of scikit-learn's pipelines."""

from pathlib import Path

import numpy as np
import pandas as pd
import xgboost
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.matrix import describe
from tests.matrix.case import Made
from tests.matrix.data import Table, patients, tumours, wine
from tests.matrix.describe import FEATURES, PROBABILITIES, VALUE
from tests.matrix.people import as_samples, people
from tests.matrix.sources.estimators import answers, of_numbers, of_people

_TREES = 20


def xgboost_classifier(folder: Path) -> Made:
    return _of_file(folder, xgboost.XGBClassifier(n_estimators=_TREES), wine(), "model.json", PROBABILITIES)


def xgboost_binary(folder: Path) -> Made:
    return _of_file(folder, xgboost.XGBClassifier(n_estimators=_TREES), tumours(), "model.ubj", PROBABILITIES)


def xgboost_regressor(folder: Path) -> Made:
    return _of_file(folder, xgboost.XGBRegressor(n_estimators=_TREES), patients(), "model.json", VALUE)


def xgboost_logistic_base(folder: Path) -> Made:
    """The base score is stated: converters disagree on whether it is a probability or its logit."""
    model = xgboost.XGBClassifier(n_estimators=_TREES, base_score=0.2)
    return _of_file(folder, model, tumours(), "model.json", PROBABILITIES)


def xgboost_counts(folder: Path) -> Made:
    """Poisson regression: the answer is the exponential of the sum of the leaves."""
    model = xgboost.XGBRegressor(n_estimators=_TREES, objective="count:poisson")
    return _of_file(folder, model, patients(), "model.json", VALUE)


def xgboost_dropout(folder: Path) -> Made:
    """DART: trees carry weights of their own."""
    model = xgboost.XGBClassifier(n_estimators=_TREES, booster="dart", rate_drop=0.3, random_state=0)
    return _of_file(folder, model, tumours(), "model.json", PROBABILITIES)


def xgboost_forest(folder: Path) -> Made:
    model = xgboost.XGBRFRegressor(n_estimators=_TREES, random_state=0)
    return _of_file(folder, model, patients(), "model.json", VALUE)


def xgboost_early_stopped(folder: Path) -> Made:
    """Trees beyond the best are in the file, and are not asked."""
    table = wine()
    model = xgboost.XGBClassifier(n_estimators=200, early_stopping_rounds=3, learning_rate=1.0)
    model.fit(
        table.fit_rows[::2],
        table.fit_targets[::2],
        eval_set=[(table.fit_rows[1::2], table.fit_targets[1::2])],
        verbose=False,
    )
    return _saved(folder, model, table, "model.json", PROBABILITIES)


def xgboost_ranker(folder: Path) -> Made:
    """Patients in groups of ten, ranked by how ill they become."""
    table = patients()
    count = len(table.fit_rows) // 10 * 10
    grades = np.digitize(table.fit_targets[:count], [100, 150, 200])
    model = xgboost.XGBRanker(n_estimators=_TREES, objective="rank:pairwise")
    model.fit(table.fit_rows[:count], grades, qid=np.arange(count) // 10)
    return _saved(folder, model, table, "model.json", VALUE)


def xgboost_pickled(folder: Path) -> Made:
    return of_numbers(folder, xgboost.XGBClassifier(n_estimators=_TREES), tumours(), missing=True)


def xgboost_number_missing(folder: Path) -> Made:
    """Where a number stands for missing, the classifier knows which: its trees do not."""
    return of_numbers(folder, xgboost.XGBClassifier(n_estimators=_TREES, missing=-999), tumours())


def xgboost_sparse_one_hot(folder: Path) -> Made:
    chosen = people(numbers=("age", "education-num", "hours-per-week"))
    parts = [
        ("numbers", "passthrough", list(chosen.numbers)),
        ("texts", OneHotEncoder(handle_unknown="ignore"), list(chosen.texts)),
    ]
    model = make_pipeline(ColumnTransformer(parts), xgboost.XGBClassifier(n_estimators=_TREES))
    return of_people(folder, model, chosen)


def xgboost_dense_one_hot(folder: Path) -> Made:
    chosen = people()
    parts = [
        ("numbers", "passthrough", list(chosen.numbers)),
        ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(chosen.texts)),
    ]
    model = make_pipeline(ColumnTransformer(parts), xgboost.XGBClassifier(n_estimators=_TREES))
    return of_people(folder, model, chosen, missing=True)


def xgboost_scaled(folder: Path) -> Made:
    chosen = people(texts=())
    return of_people(folder, make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=_TREES)), chosen)


def xgboost_categorical(folder: Path) -> Made:
    """Splits on categories, by XGBoost itself."""
    chosen = people(numbers=("age", "hours-per-week"), texts=("workclass", "marital-status"))
    kinds = {name: pd.CategoricalDtype(sorted(set(chosen.fit[name]))) for name in chosen.texts}
    model = xgboost.XGBClassifier(n_estimators=_TREES, enable_categorical=True)
    model.fit(chosen.fit.astype(kinds), chosen.fit_classes)
    model.save_model(folder / "model.json")
    return Made(
        "model.json",
        describe.columns(chosen.columns, chosen.texts, PROBABILITIES),
        as_samples(chosen.samples),
        {"held out": chosen.fresh()["held out"]},
        lambda rows: {PROBABILITIES: answers(model, chosen.frame(rows).astype(kinds))},
    )


def _of_file(folder: Path, model: xgboost.XGBModel, table: Table, file: str, output: str) -> Made:
    """A model of one array, in XGBoost's own file."""
    model.fit(table.fit_rows, table.fit_targets)
    return _saved(folder, model, table, file, output)


def _saved(folder: Path, model: xgboost.XGBModel, table: Table, file: str, output: str) -> Made:
    model.save_model(folder / file)
    return Made(
        file,
        describe.numbers(table.width, output),
        {FEATURES: table.samples},
        table.fresh(missing=True),
        lambda rows: {output: answers(model, rows[FEATURES])},
    )
