"""Converters for what skl2onnx does otherwise than scikit-learn does, and for the models of XGBoost and LightGBM.

- HistGradientBoosting: an attribute's True and False become the integers that ONNX has for them.
- ZeroIsMissing is a step of ours: in a sparse matrix XGBoost takes what is not stored, zeros, for missing.
"""

import importlib
import sys
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common._container import ModelComponentContainer
from skl2onnx.common._registration import get_converter
from skl2onnx.common._topology import Operator, Scope
from skl2onnx.common.data_types import FloatTensorType
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from exporter.arrays import Array
from exporter.sklearn_scalers import IN_STEPS, convert_in_steps

Converter: TypeAlias = Callable[[Scope, Operator, ModelComponentContainer], None]


class ZeroIsMissing(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Zeros become NaN."""

    def fit(self, rows: object, classes: object = None) -> "ZeroIsMissing":  # noqa: ARG002 - scikit-learn's shape
        return self

    def transform(self, rows: Array) -> Array:
        return np.where(rows == 0, np.nan, rows)

    def __sklearn_is_fitted__(self) -> bool:
        return True


class _IntegerFlags:
    """skl2onnx's container, with an attribute's True and False written as the integers that ONNX has for them."""

    def __init__(self, container: ModelComponentContainer) -> None:
        self._container = container

    def __getattr__(self, name: str) -> object:
        return getattr(self._container, name)

    def add_node(self, op_type: str, inputs: object, outputs: object, **attributes: object) -> None:
        plain = {
            name: [int(flag) if isinstance(flag, bool | np.bool_) else flag for flag in value]
            if isinstance(value, list)
            else value
            for name, value in attributes.items()
        }
        self._container.add_node(op_type, inputs, outputs, **plain)


def _histogram_trees(scope: Scope, operator: Operator, container: ModelComponentContainer) -> None:
    get_converter(operator.type)(scope, operator, _IntegerFlags(container))


def _zero_is_missing(scope: Scope, operator: Operator, container: ModelComponentContainer) -> None:
    zero, missing, is_zero = (scope.get_unique_variable_name(name) for name in ("zero", "missing", "is_zero"))
    container.add_initializer(zero, TensorProto.FLOAT, [1], [0.0])
    container.add_initializer(missing, TensorProto.FLOAT, [1], [float("nan")])
    given, answered = operator.inputs[0].full_name, operator.outputs[0].full_name
    container.add_node("Equal", [given, zero], is_zero, op_version=11, name=scope.get_unique_operator_name("Equal"))
    container.add_node(
        "Where", [is_zero, missing, given], answered, op_version=9, name=scope.get_unique_operator_name("Where")
    )


def _same_shape(operator: Operator) -> None:
    operator.outputs[0].type = FloatTensorType(list(operator.inputs[0].type.shape))


CONVERTERS: dict[type, Converter] = {ZeroIsMissing: _zero_is_missing}
INTEGER_FLAGS: dict[type, Converter] = {
    HistGradientBoostingClassifier: _histogram_trees,
    HistGradientBoostingRegressor: _histogram_trees,
}
IN_STEPS_CONVERTERS: dict[type, Converter] = dict.fromkeys(IN_STEPS, convert_in_steps)
SHAPES: dict[type, Callable[[Operator], None]] = {ZeroIsMissing: _same_shape}


def register_boosters() -> None:
    """Make skl2onnx know the models of XGBoost and LightGBM, where a source has brought these in."""
    for package in {"xgboost", "lightgbm"} & sys.modules.keys():
        importlib.import_module(f"exporter.sklearn_{package}").register()


def register(model: type, alias: str, converter: Converter, *, classifies: bool = False) -> None:
    """As skl2onnx wants it of a converter that onnxmltools has."""
    shapes = calculate_linear_classifier_output_shapes if classifies else calculate_linear_regressor_output_shapes
    options = {"nocl": [True, False], "zipmap": [True, False, "columns"]} if classifies else {}
    update_registered_converter(model, alias, shapes, converter, options=options | {"split": None})
