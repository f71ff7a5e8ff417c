"""Matrix products in 8 bits that no row shares with another.

ONNX Runtime's own dynamic quantisation finds one scale for a whole tensor, the batch in it: one large row takes the
others' precision, so an answer depends on who asks at the same time. Here each row of the numbers in between has a
scale of its own, as each column of the weights has (Yao et al. 2022, ZeroQuant, §4). Both are unsigned with their zero
in the middle: of signed weights the sums of two saturate in 16 bits on processors without VNNI.

Products of two numbers in between (attention's) stay as they are, and so do convolutions, LSTMs and fused operators.
"""

import numpy as np
import onnx
from onnx import helper, inliner, numpy_helper, parser
from onnxruntime.quantization.onnx_model import ONNXModel

from exporter.arrays import Array
from exporter.graph import opset_of

_DOMAIN, _PRODUCT = "argosy", "ProductByRow"
_STEPS, _MIDDLE = 127, 128
_LEAST = 1e-30  # a row or a column of zeros has a scale too
# Not multiplied by the product of both scales: ONNX Runtime takes that for one number, and fuses it wrongly.
_FUNCTION = """
<domain: "argosy", opset_import: ["": %(opset)d]>
ProductByRow (rows, weights, weight_scales) => (product)
{
    steps = Constant <value = float {%(steps)d.0}> ()
    middle = Constant <value = uint8 {%(middle)d}> ()
    one = Constant <value = float {1.0}> ()
    least = Constant <value = float {%(least)g}> ()
    axes = Constant <value = int64[1] {-1}> ()
    sizes = Abs (rows)
    largest = ReduceMax %(over_axes)s
    above_zero = Max (largest, least)
    row_scales = Div (above_zero, steps)
    in_steps = Div (rows, row_scales)
    row_steps = QuantizeLinear (in_steps, one, middle)
    sums = MatMulInteger (row_steps, weights, middle, middle)
    numbers = Cast <to = 1> (sums)
    of_columns = Mul (numbers, weight_scales)
    product = Mul (of_columns, row_scales)
}
"""
_OVER_AXES, _OVER_AXES_BEFORE_18 = "<keepdims = 1> (sizes, axes)", "<keepdims = 1, axes = [-1]> (sizes)"


def quantised(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with each MatMul by constant weights float32[inner, columns] in 8 bits."""
    made = ONNXModel(model)
    weights = {tensor.name: tensor for tensor in model.graph.initializer if _is_matrix(tensor)}
    products = [node for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in weights]
    for name in dict.fromkeys(node.input[1] for node in products):
        steps, scales = _by_column(numpy_helper.to_array(weights[name]))
        made.add_initializer(numpy_helper.from_array(steps, f"{name}_steps"))
        made.add_initializer(numpy_helper.from_array(scales, f"{name}_scales"))
    for node in products:
        rows, name = node.input
        node.op_type, node.domain = _PRODUCT, _DOMAIN
        node.input[:] = [rows, f"{name}_steps", f"{name}_scales"]
    made.clean_initializers()
    return _inlined(made.model)


def _is_matrix(tensor: onnx.TensorProto) -> bool:
    return tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) == 2


def _by_column(weights: Array) -> tuple[Array, Array]:
    """uint8[inner, columns] around the middle, and float32[columns]: what one step of each is worth."""
    scales = np.maximum(np.abs(weights).max(axis=0, initial=0), np.float32(_LEAST)) / np.float32(_STEPS)
    return (np.rint(weights / scales) + _MIDDLE).astype(np.uint8), scales


def _inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """The nodes of the product in place of its name."""
    opset = opset_of(model)
    over_axes = _OVER_AXES if opset >= 18 else _OVER_AXES_BEFORE_18
    numbers = {"steps": _STEPS, "middle": _MIDDLE, "least": _LEAST}
    model.functions.append(parser.parse_function(_FUNCTION % {"opset": opset, "over_axes": over_axes, **numbers}))
    model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    whole = inliner.inline_selected_functions(model, [(_DOMAIN, _PRODUCT)])
    standing = [entry for entry in whole.opset_import if entry.domain != _DOMAIN]
    del whole.opset_import[:]
    whole.opset_import.extend(standing)
    return whole
