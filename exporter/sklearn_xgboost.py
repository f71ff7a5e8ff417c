"""XGBoost's models as steps of scikit-learn pipelines, for skl2onnx."""

import xgboost
from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost

from exporter.sklearn_converters import register as register_model


def register() -> None:
    for model in (xgboost.XGBClassifier, xgboost.XGBRFClassifier):
        register_model(model, f"XGBoost{model.__name__}", convert_xgboost, classifies=True)
    for model in (xgboost.XGBRegressor, xgboost.XGBRFRegressor):
        register_model(model, f"XGBoost{model.__name__}", convert_xgboost)
