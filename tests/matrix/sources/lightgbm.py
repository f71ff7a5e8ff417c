"""LightGBM's models of the matrix: alone, from its own text files, and at the end of scikit-learn's pipelines."""

from pathlib import Path

import lightgbm
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.matrix import describe
from tests.matrix.case import Made
from tests.matrix.data import Table, patients, tumours, wine
from tests.matrix.describe import FEATURES, PROBABILITIES, VALUE
from tests.matrix.people import people
from tests.matrix.sources.estimators import answers, of_numbers, of_people

FILE = "model.txt"
_FEW = {"n_estimators": 20, "num_leaves": 15, "min_child_samples": 5, "verbose": -1, "n_jobs": 1}


def lightgbm_classifier(folder: Path) -> Made:
    return _of_file(folder, lightgbm.LGBMClassifier(**_FEW), wine(), PROBABILITIES)


def lightgbm_binary(folder: Path) -> Made:
    return _of_file(folder, lightgbm.LGBMClassifier(**_FEW), tumours(), PROBABILITIES)


def lightgbm_regressor(folder: Path) -> Made:
    return _of_file(folder, lightgbm.LGBMRegressor(**_FEW), patients(), VALUE)


def lightgbm_counts(folder: Path) -> Made:
    """Poisson regression: the answer is the exponential of the sum of the leaves."""
    return _of_file(folder, lightgbm.LGBMRegressor(**_FEW, objective="poisson"), patients(), VALUE)


def lightgbm_zeros_missing(folder: Path) -> Made:
    """Zeros are declared missing: numbers near the mean are 0 here."""
    table = wine(scaled=True)
    holes = Table(_holes(table.fit_rows), table.fit_targets, _holes(table.samples), _holes(table.held_out))
    return _of_file(folder, lightgbm.LGBMClassifier(**_FEW, zero_as_missing=True), holes, PROBABILITIES)


def lightgbm_ranker(folder: Path) -> Made:
    """Patients in groups of ten, ranked by how ill they become."""
    table = patients()
    count = len(table.fit_rows) // 10 * 10
    grades = np.digitize(table.fit_targets[:count], [100, 150, 200])
    model = lightgbm.LGBMRanker(**_FEW)
    model.fit(table.fit_rows[:count], grades, group=[10] * (count // 10))
    return _saved(folder, model, table, VALUE)


def lightgbm_pickled(folder: Path) -> Made:
    return of_numbers(folder, lightgbm.LGBMClassifier(**_FEW), tumours(), missing=True)


def lightgbm_columns(folder: Path) -> Made:
    chosen = people()
    parts = [
        ("numbers", "passthrough", list(chosen.numbers)),
        ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(chosen.texts)),
    ]
    return of_people(
        folder, make_pipeline(ColumnTransformer(parts), lightgbm.LGBMClassifier(**_FEW)), chosen, missing=True
    )


def lightgbm_sparse_one_hot(folder: Path) -> Made:
    chosen = people(numbers=("age", "education-num", "hours-per-week"))
    parts = [
        ("numbers", "passthrough", list(chosen.numbers)),
        ("texts", OneHotEncoder(handle_unknown="ignore"), list(chosen.texts)),
    ]
    return of_people(folder, make_pipeline(ColumnTransformer(parts), lightgbm.LGBMClassifier(**_FEW)), chosen)


def lightgbm_scaled(folder: Path) -> Made:
    chosen = people(texts=())
    return of_people(folder, make_pipeline(StandardScaler(), lightgbm.LGBMClassifier(**_FEW)), chosen)


def _of_file(folder: Path, model: lightgbm.LGBMModel, table: Table, output: str) -> Made:
    """A model of one array, in LightGBM's own file."""
    model.fit(table.fit_rows, table.fit_targets)
    return _saved(folder, model, table, output)


def _saved(folder: Path, model: lightgbm.LGBMModel, table: Table, output: str) -> Made:
    model.booster_.save_model(folder / FILE)
    return Made(
        FILE,
        describe.numbers(table.width, output),
        {FEATURES: table.samples},
        table.fresh(missing=True),
        lambda rows: {output: answers(model, rows[FEATURES])},
    )


def _holes(rows: np.ndarray) -> np.ndarray:
    """Numbers near the mean become 0."""
    return np.where(np.abs(rows) < 0.4, np.float32(0), rows)
