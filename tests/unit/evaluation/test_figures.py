"""The figures that a manifest keeps, against figures worked out by hand."""

import numpy as np
import pytest

from evaluation.figures import classification, confusion, over_folds, regression, roc_areas


def test_accuracy_precision_recall_and_f1_of_a_small_table() -> None:
    truth, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    figures = {metric.name: metric.value for metric in classification(truth, predicted, "test")}
    macro = {"precision_macro": 3 / 4, "recall_macro": 5 / 6, "f1_macro": (4 / 5 + 2 / 3) / 2}
    micro = {"precision_micro": 3 / 4, "recall_micro": 3 / 4, "f1_micro": 3 / 4}
    assert figures == pytest.approx({"accuracy": 3 / 4, **macro, **micro})


def test_each_class_has_its_own_figures_and_its_own_rows() -> None:
    truth, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    of_classes = [metric for metric in classification(truth, predicted, "test", ["a", "b"]) if metric.label]
    found = {(metric.label, metric.name, metric.row_count): metric.value for metric in of_classes}
    of_a = {("a", "precision", 3): 1.0, ("a", "recall", 3): 2 / 3, ("a", "f1", 3): 4 / 5}
    of_b = {("b", "precision", 1): 1 / 2, ("b", "recall", 1): 1.0, ("b", "f1", 1): 2 / 3}
    assert found == pytest.approx(of_a | of_b)


def test_the_area_under_the_curve_is_of_each_class_against_the_rest() -> None:
    truth = np.array([0, 0, 1, 1])
    scores = np.array([[0.9, 0.1, 0.0], [0.4, 0.6, 0.0], [0.5, 0.5, 0.0], [0.2, 0.8, 0.0]])
    # Three of the four pairs of a 0 and a 1 are in order; nothing is of the third class.
    assert roc_areas(truth, scores) == pytest.approx({0: 3 / 4, 1: 3 / 4})
    figures = {m.name: m.value for m in classification(truth, scores.argmax(axis=1), "test", probabilities=scores)}
    assert figures["roc_auc_macro"] == pytest.approx(3 / 4)


def test_the_confusion_matrix_is_by_truth_and_then_by_prediction() -> None:
    matrix = confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 3, "test")
    assert list(matrix.counts) == [1, 1, 0, 0, 1, 0, 0, 0, 0]
    assert matrix.class_count == 3


def test_errors_of_a_regression() -> None:
    figures = {m.name: m.value for m in regression(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 5.0]), "test")}
    assert figures == pytest.approx({"mse": 4 / 3, "mae": 2 / 3, "r2": 1 - 4 / 2})


def test_folds_become_a_mean_with_a_standard_deviation() -> None:
    folds = [regression(np.array([0.0, 2.0]), np.array([error, 2.0]), "fold") for error in (0.0, 2.0)]
    averaged = over_folds(folds)[0]
    assert (averaged.name, averaged.value, averaged.row_count, averaged.split) == ("mse", 1.0, 4, "2-fold")
    assert averaged.standard_deviation == pytest.approx(2**0.5)


def test_a_single_measurement_has_no_standard_deviation() -> None:
    assert not regression(np.array([1.0, 2.0]), np.array([1.0, 2.0]), "test")[0].HasField("standard_deviation")
