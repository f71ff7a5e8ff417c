"""scikit-learn -> ONNX, by way of skl2onnx.

Traps that are handled here: ZipMap (class probabilities as a list of dicts) is off, and `-` in a column's name becomes
`_`. What `sklearn_remedies.py` does for a user's own model, training does by itself: trees are trained on float32
values, because a float64 threshold between two float32 numbers can send a row down the other branch.
"""

from collections.abc import Callable, Mapping, Sequence

import onnx
import skl2onnx
from skl2onnx.common.data_types import DataType, DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType
from sklearn.base import BaseEstimator, is_classifier

from exporter.arrays import Array
from exporter.errors import SourceError
from exporter.graph import OPSET, finish, graph_name
from exporter.sklearn_converters import CONVERTERS, IN_STEPS_CONVERTERS, INTEGER_FLAGS, SHAPES, register_boosters

__all__ = [
    "CONVERTER",
    "FRAMEWORK",
    "FRAMEWORK_DISTRIBUTION",
    "convert",
    "graph_name",
    "output_names",
]

FRAMEWORK, FRAMEWORK_DISTRIBUTION, CONVERTER = "scikit-learn", "scikit-learn", "skl2onnx"
# The operators of trees, scalers and vectorisers.
ML_OPSET = 3


def convert(
    estimator: BaseEstimator,
    inputs: Mapping[str, Array],
    outputs: Sequence[str | None],
    *,
    options: Mapping[int, Mapping[str, object]] | None = None,
    opset: int = OPSET,
    edit: Callable[[onnx.ModelProto], None] | None = None,
    integer_flags: bool = True,
    scales_in_steps: bool = True,
) -> bytes:
    """The graph of a fitted estimator whose inputs are like the arrays of `inputs`: name -> [N, columns].

    Each becomes an input of the graph under `graph_name(name)`. The outputs are named in skl2onnx's order: label and
    probabilities of a classifier, the number of a regressor. None leaves an output out.
    `edit` mends the graph before it is finished; `integer_flags` writes histogram boosting's booleans as integers;
    `scales_in_steps` scales as `sklearn_scalers.py` has it.
    """
    register_boosters()
    types = [(name, _type_of(name, values)) for name, values in inputs.items()]
    known = {key: dict(option) for key, option in (options or {}).items()}
    if is_classifier(estimator):
        known.setdefault(id(estimator), {})["zipmap"] = False
    model = skl2onnx.convert_sklearn(
        estimator,
        initial_types=types,
        options=known,
        target_opset={"": opset, "ai.onnx.ml": ML_OPSET},
        custom_conversion_functions=CONVERTERS
        | (INTEGER_FLAGS if integer_flags else {})
        | (IN_STEPS_CONVERTERS if scales_in_steps else {}),
        custom_shape_calculators=dict(SHAPES),
    )
    if edit is not None:
        edit(model)
    return finish(model, [graph_name(name) for name in inputs], outputs)


def output_names(estimator: BaseEstimator, names: Sequence[str]) -> list[str | None]:
    """The outputs in skl2onnx's order: a classifier's label comes first, and is left out."""
    return [None, *names] if is_classifier(estimator) else list(names)


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
