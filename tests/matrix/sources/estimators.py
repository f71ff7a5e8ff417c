"""Estimators as the exporter is given them: fitted on real rows, dumped with joblib, with their own answers."""

from pathlib import Path

import joblib
import numpy as np
from sklearn.base import BaseEstimator, is_classifier

from tests.matrix import describe
from tests.matrix.case import Made
from tests.matrix.data import Table
from tests.matrix.describe import FEATURES, PROBABILITIES, TEXT, VALUE
from tests.matrix.people import People, as_samples
from tests.matrix.texts import as_rows, sentences

_FILE, _TRUST = "model.joblib", "--trust-code"


def of_numbers(folder: Path, model: BaseEstimator, table: Table, *, missing: bool = False) -> Made:
    """A model of one array of numbers."""
    model.fit(table.fit_rows, table.fit_targets)
    output = _dump(folder, model)
    return Made(
        _FILE,
        describe.numbers(table.width, output),
        {FEATURES: table.samples},
        table.fresh(missing=missing),
        lambda rows: {output: answers(model, rows[FEATURES])},
        (_TRUST,),
    )


def of_people(folder: Path, model: BaseEstimator, chosen: People, *, missing: bool = False) -> Made:
    """A model of named columns."""
    model.fit(chosen.fit, chosen.fit_classes)
    output = _dump(folder, model)
    return Made(
        _FILE,
        describe.columns(chosen.columns, chosen.texts, output),
        as_samples(chosen.samples),
        chosen.fresh(missing=missing),
        lambda rows: {output: answers(model, chosen.frame(rows))},
        (_TRUST,),
    )


def of_sentences(folder: Path, model: BaseEstimator) -> Made:
    """A model of a text."""
    texts = sentences()
    model.fit(texts.fit, texts.fit_classes)
    output = _dump(folder, model)
    return Made(
        _FILE,
        describe.text(output),
        as_rows(texts.samples),
        texts.fresh(),
        lambda rows: {output: answers(model, rows[TEXT][:, 0])},
        (_TRUST,),
    )


def answers(model: BaseEstimator, rows: object) -> np.ndarray:
    return np.asarray(model.predict_proba(rows) if is_classifier(model) else model.predict(rows))


def _dump(folder: Path, model: BaseEstimator) -> str:
    """Returns the name of the model's output."""
    joblib.dump(model, folder / _FILE)
    return PROBABILITIES if is_classifier(model) else VALUE
