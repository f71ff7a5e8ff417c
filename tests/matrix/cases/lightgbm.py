"""The cases of LightGBM."""

from tests.matrix.case import Case, Equal, Group

ROUNDED = Equal(remedy="thresholds rounded down")

GROUP = Group(
    "LightGBM",
    "tests.matrix.sources.lightgbm",
    (
        Case("lightgbm-classifier", "classifier of three classes", ROUNDED, fast=True),
        Case("lightgbm-binary", "classifier of two classes", ROUNDED),
        Case("lightgbm-regressor", "regressor", ROUNDED),
        Case("lightgbm-counts", "Poisson regressor", ROUNDED),
        Case("lightgbm-zeros-missing", "classifier, zeros are missing", Equal(remedy="zero_as_missing")),
        Case("lightgbm-ranker", "ranker", ROUNDED),
        Case("lightgbm-pickled", "classifier, pickled, missing values", ROUNDED),
        Case("lightgbm-columns", "mixed columns: dense one-hot → classifier, missing values"),
        Case("lightgbm-sparse-one-hot", "mixed columns: sparse one-hot → classifier"),
        Case("lightgbm-scaled", "StandardScaler → classifier"),
    ),
)
