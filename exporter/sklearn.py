"""scikit-learn -> ONNX, by way of skl2onnx.

Traps that are handled here: ZipMap (class probabilities as a list of dicts) is off; a fitted parameter that is a numpy
or Python bool, which HistGradientBoosting has, becomes the integer that ONNX wants; `-` in a column's name becomes `_`.
What cannot be handled after training is the caller's: trees must be trained on float32 values, because a float64
threshold between two float32 numbers sends a row down the other branch.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import skl2onnx
from skl2onnx.common._container import ModelComponentContainer
from skl2onnx.common._registration import get_converter
from skl2onnx.common._topology import Operator, Scope
from skl2onnx.common.data_types import DataType, DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType
from sklearn.base import BaseEstimator, is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from exporter.arrays import Array
from exporter.errors import SourceError
from exporter.graph import OPSET, finish

FRAMEWORK, FRAMEWORK_DISTRIBUTION, CONVERTER = "scikit-learn", "scikit-learn", "skl2onnx"
# The operators of trees, scalers and vectorisers.
ML_OPSET = 3
_HISTOGRAM_TREES = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)


def convert(
    estimator: BaseEstimator,
    inputs: Mapping[str, Array],
    outputs: Sequence[str | None],
    *,
    options: Mapping[int, Mapping[str, object]] | None = None,
    opset: int = OPSET,
) -> bytes:
    """The graph of a fitted estimator whose inputs are like the arrays of `inputs`: name -> [N, columns].

    Each becomes an input of the graph under `graph_name(name)`. The outputs are named in skl2onnx's order: label and
    probabilities of a classifier, the number of a regressor. None leaves an output out.
    """
    types = [(name, _type_of(name, values)) for name, values in inputs.items()]
    known = {key: dict(option) for key, option in (options or {}).items()}
    if is_classifier(estimator):
        known.setdefault(id(estimator), {})["zipmap"] = False
    model = skl2onnx.convert_sklearn(
        estimator,
        initial_types=types,
        options=known,
        target_opset={"": opset, "ai.onnx.ml": ML_OPSET},
        custom_conversion_functions=dict.fromkeys(_HISTOGRAM_TREES, _convert_histogram_trees),
    )
    return finish(model, [graph_name(name) for name in inputs], outputs)


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


def _convert_histogram_trees(scope: Scope, operator: Operator, container: ModelComponentContainer) -> None:
    get_converter(operator.type)(scope, operator, _IntegerFlags(container))


def graph_name(column: str) -> str:
    """A column's name as a tensor of the graph may have it."""
    return "".join(letter if letter.isalnum() else "_" for letter in column)


def _type_of(name: str, values: Array) -> DataType:
    kinds: Mapping[str, type[DataType]] = {
        "float32": FloatTensorType,
        "float64": DoubleTensorType,
        "int64": Int64TensorType,
    }
    if values.dtype.kind in "OUS":
        return StringTensorType([None, values.shape[1]])
    if str(values.dtype) not in kinds:
        raise SourceError(f"column '{name}' has dtype {values.dtype}: float32, int64 or text is needed")
    return kinds[str(values.dtype)]([None, values.shape[1]])
