"""XGBoost that stopped early: a Booster answers with all of its trees, the scikit-learn classes up to the best one."""

from pathlib import Path

import numpy as np
import pytest
import xgboost

from exporter.conversion import Request
from exporter.sources.source import Source
from exporter.sources.xgboost import from_file, from_object

ROWS = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
ANSWERS = (ROWS[:, 0] + np.random.default_rng(1).normal(size=400) > 0).astype(np.int64)
FITTED, HELD_OUT = slice(0, 200), slice(200, None)
REQUEST = Request("trees", "xgboost")


@pytest.fixture(scope="module")
def classifier() -> xgboost.XGBClassifier:
    model = xgboost.XGBClassifier(early_stopping_rounds=3, learning_rate=0.5)
    held_out = [(ROWS[HELD_OUT], ANSWERS[HELD_OUT])]
    model.fit(ROWS[FITTED], ANSWERS[FITTED], eval_set=held_out, verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    return model


def second_class(source: Source) -> list[float]:
    return source.answer([ROWS])[0][:, 1].tolist()


def test_a_booster_is_exported_with_all_trees_that_it_answers_with(classifier: xgboost.XGBClassifier) -> None:
    booster = classifier.get_booster()
    answered = booster.predict(xgboost.DMatrix(ROWS)).tolist()
    assert second_class(from_object(booster, REQUEST, {})) == answered


def test_a_boosters_own_file_is_exported_with_all_trees(classifier: xgboost.XGBClassifier, tmp_path: Path) -> None:
    classifier.get_booster().save_model(tmp_path / "trees.ubj")
    answered = classifier.get_booster().predict(xgboost.DMatrix(ROWS)).tolist()
    assert second_class(from_file(tmp_path / "trees.ubj", REQUEST, {})) == answered


def test_a_classifier_is_exported_up_to_its_best_tree(classifier: xgboost.XGBClassifier) -> None:
    assert second_class(from_object(classifier, REQUEST, {})) == classifier.predict_proba(ROWS)[:, 1].tolist()


def test_a_file_that_a_classifier_saved_is_exported_up_to_its_best_tree(
    classifier: xgboost.XGBClassifier, tmp_path: Path
) -> None:
    classifier.save_model(tmp_path / "trees.json")
    answered = classifier.predict_proba(ROWS)[:, 1].tolist()
    assert second_class(from_file(tmp_path / "trees.json", REQUEST, {})) == answered


def test_a_booster_read_from_a_classifiers_file_is_exported_with_all_trees(
    classifier: xgboost.XGBClassifier, tmp_path: Path
) -> None:
    classifier.save_model(tmp_path / "trees.json")
    booster = xgboost.Booster(model_file=tmp_path / "trees.json")
    answered = booster.predict(xgboost.DMatrix(ROWS)).tolist()
    assert second_class(from_object(booster, REQUEST, {})) == answered
