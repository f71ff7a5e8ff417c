"""LightGBM's models as steps of scikit-learn pipelines, for skl2onnx."""

import lightgbm
from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm

from exporter.sklearn_converters import register as register_model


def register() -> None:
    register_model(lightgbm.LGBMClassifier, "LightGbmLGBMClassifier", convert_lightgbm, classifies=True)
    register_model(lightgbm.LGBMRegressor, "LightGbmLGBMRegressor", convert_lightgbm)
