"""scikit-learn -> ONNX, by way of skl2onnx.

Traps that are handled here: ZipMap (class probabilities as a list of dicts) is off; a fitted parameter that is a numpy
or Python bool, which HistGradientBoosting has, becomes the integer that ONNX wants; `-` in a column's name becomes `_`.
What cannot be handled after training is the caller's: trees must be trained on float32 values, because a float64
threshold between two float32 numbers sends a row down the other branch.
"""

from collections.abc import Mapping, Sequence

import skl2onnx
from skl2onnx.common.data_types import DataType, DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType
from sklearn.base import BaseEstimator, is_classifier

from exporter.errors import SourceError
from exporter.parity import Array
from exporter.signature import OPSET, finish

FRAMEWORK, FRAMEWORK_DISTRIBUTION, CONVERTER = "scikit-learn", "scikit-learn", "skl2onnx"
# The operators of trees, scalers and vectorisers.
ML_OPSET = 3


def convert(
    estimator: BaseEstimator,
    inputs: Mapping[str, Array],
    outputs: Sequence[str],
    *,
    options: Mapping[int, Mapping[str, object]] | None = None,
    opset: int = OPSET,
) -> bytes:
    """The graph of a fitted estimator whose inputs are like the arrays of `inputs`: name -> [N, columns].

    The outputs are named in skl2onnx's order: label and probabilities of a classifier, the number of a regressor.
    """
    types = [(name, _type_of(name, values)) for name, values in inputs.items()]
    known = {key: dict(option) for key, option in (options or {}).items()}
    if is_classifier(estimator):
        known.setdefault(id(estimator), {})["zipmap"] = False
    model = skl2onnx.to_onnx(
        estimator, initial_types=types, options=known, target_opset={"": opset, "ai.onnx.ml": ML_OPSET}
    )
    return finish(model, list(inputs), outputs)


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
