"""The figures that a manifest keeps, against figures worked out by hand."""

import numpy as np
import pytest

from training.evaluate import classification, over_folds, regression


def test_accuracy_precision_recall_and_f1_of_a_small_table() -> None:
    truth, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    figures = {metric.name: metric.value for metric in classification(truth, predicted, "test")}
    assert figures == pytest.approx(
        {"accuracy": 3 / 4, "precision_macro": 3 / 4, "recall_macro": 5 / 6, "f1_macro": (4 / 5 + 2 / 3) / 2}
    )


def test_each_class_has_its_own_f1_and_its_own_rows() -> None:
    truth, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    of_classes = [metric for metric in classification(truth, predicted, "test", ["a", "b"]) if metric.label]
    assert [(metric.label, metric.row_count) for metric in of_classes] == [("a", 3), ("b", 1)]
    assert [metric.value for metric in of_classes] == pytest.approx([4 / 5, 2 / 3])


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
