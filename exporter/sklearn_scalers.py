"""Scalers whose numbers scikit-learn keeps in float64, whatever the rows are, for skl2onnx.

`X *= scale_` of float32 rows is a product in float64 that is rounded to float32, and so is the step after it. skl2onnx
rounds the numbers of the scaler instead, which moves values over the thresholds of trees behind. StandardScaler is none
of these: scikit-learn itself rounds its numbers to the type of the rows.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from onnx import TensorProto
from skl2onnx.common._container import ModelComponentContainer
from skl2onnx.common._topology import Operator, Scope
from skl2onnx.common.data_types import FloatTensorType, guess_proto_type
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler

from exporter.arrays import Array

IN_STEPS = (MinMaxScaler, MaxAbsScaler, RobustScaler)


def convert_in_steps(scope: Scope, operator: Operator, container: ModelComponentContainer) -> None:
    """Each step in float64; of float32 rows its result is rounded, as numpy rounds what it computes in place."""
    rounds = all(isinstance(variable.type, FloatTensorType) for variable in operator.inputs)
    nodes = _Nodes(scope, container)
    rows = nodes.joined([variable.full_name for variable in operator.inputs])
    for kind, *numbers in _steps(operator.raw_operator):
        rows = nodes.add(kind, [rows, *map(nodes.constant, numbers)])
        rows = nodes.cast(nodes.cast(rows, TensorProto.FLOAT), TensorProto.DOUBLE) if rounds else rows
    answered = operator.outputs[0]
    nodes.cast(rows, guess_proto_type(answered.type), answered.full_name)


def _steps(scaler: MinMaxScaler | MaxAbsScaler | RobustScaler) -> Iterator[tuple[str, *tuple[Array, ...]]]:
    """The operators in scikit-learn's order, each with its numbers."""
    if isinstance(scaler, RobustScaler):
        if scaler.with_centering:
            yield "Sub", scaler.center_
        if scaler.with_scaling:
            yield "Div", scaler.scale_
        return
    if isinstance(scaler, MaxAbsScaler):
        yield "Div", scaler.scale_
    else:
        yield "Mul", scaler.scale_
        yield "Add", scaler.min_
    if getattr(scaler, "clip", False):
        low, high = getattr(scaler, "feature_range", (-1.0, 1.0))
        yield "Clip", np.array(low), np.array(high)


class _Nodes:
    """Nodes that are named as the scope has it."""

    def __init__(self, scope: Scope, container: ModelComponentContainer) -> None:
        self._scope, self._container = scope, container

    def joined(self, names: Sequence[str]) -> str:
        """The columns of all inputs side by side, in float64."""
        wide = [self.cast(name, TensorProto.DOUBLE) for name in names]
        return wide[0] if len(wide) == 1 else self.add("Concat", wide, axis=1)

    def constant(self, numbers: Array) -> str:
        name: str = self._scope.get_unique_variable_name("scaling")
        self._container.add_initializer(name, TensorProto.DOUBLE, list(numbers.shape), numbers.ravel().tolist())
        return name

    def cast(self, name: str, to: int, answered: str = "") -> str:
        return self.add("Cast", [name], answered, to=to)

    def add(self, kind: str, names: Sequence[str], answered: str = "", **attributes: int) -> str:
        answered = answered or self._scope.get_unique_variable_name("scaled")
        name = self._scope.get_unique_operator_name(kind)
        self._container.add_node(kind, list(names), answered, op_version=13, name=name, **attributes)
        return answered
