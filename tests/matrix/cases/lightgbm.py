"""The cases of LightGBM."""

from tests.matrix.case import Case, Group

GROUP = Group(
    "LightGBM",
    "tests.matrix.sources.lightgbm",
    (
        Case("lightgbm-classifier", "classifier of three classes", fast=True),
        Case("lightgbm-binary", "classifier of two classes"),
        Case("lightgbm-regressor", "regressor"),
        Case("lightgbm-counts", "Poisson regressor"),
        Case("lightgbm-zeros-missing", "classifier, zeros are missing"),
        Case("lightgbm-ranker", "ranker"),
        Case("lightgbm-pickled", "classifier, pickled, missing values"),
        Case("lightgbm-columns", "mixed columns: dense one-hot → classifier, missing values"),
        Case("lightgbm-sparse-one-hot", "mixed columns: sparse one-hot → classifier"),
        Case("lightgbm-scaled", "StandardScaler → classifier"),
    ),
)
