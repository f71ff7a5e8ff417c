"""The cases of XGBoost."""

from tests.matrix.case import Case, Equal, Group, Refused, Trap

GROUP = Group(
    "XGBoost",
    "tests.matrix.sources.xgboost",
    (
        Case("xgboost-classifier", "classifier of three classes, .json", fast=True),
        Case("xgboost-binary", "classifier of two classes, .ubj"),
        Case("xgboost-regressor", "regressor"),
        Case("xgboost-logistic-base", "classifier with a base score of its own"),
        Case("xgboost-counts", "Poisson regressor"),
        Case("xgboost-dropout", "classifier of dropped trees (DART)", Refused("'dart' cannot be converted")),
        Case("xgboost-forest", "random forest regressor"),
        Case("xgboost-early-stopped", "classifier that was stopped early"),
        Case("xgboost-ranker", "ranker"),
        Case("xgboost-pickled", "classifier, pickled, missing values"),
        Case("xgboost-number-missing", "classifier, -999 is missing", Refused("missing=-999 cannot be converted")),
        Case(
            "xgboost-sparse-one-hot",
            "mixed columns: sparse one-hot → classifier",
            Equal(remedy="zeros before XGBoost made missing"),
            Trap.SPARSE_ONE_HOT,
            fast=True,
        ),
        Case("xgboost-dense-one-hot", "mixed columns: dense one-hot → classifier, missing values"),
        Case(
            "xgboost-scaled",
            "StandardScaler → classifier",
            Equal(remedy="scaling by division"),
            Trap.SCALER_BEFORE_XGBOOST,
            fast=True,
        ),
        Case(
            "xgboost-categorical",
            "enable_categorical",
            Refused("categorical"),
            Trap.XGBOOST_CATEGORICAL,
            fast=True,
        ),
    ),
)
