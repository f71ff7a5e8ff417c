"""Steps that make a graph smaller or faster, and so change its numbers a little: what comes out has to be proven anew.

fp16 keeps inputs and outputs as they are, so that no caller notices. int8 without calibration quantises matrix
products, row by row (`row_scales.py`), and the weights of look-ups. LSTMs it leaves alone, because ONNX Runtime scales
what comes in between by the whole batch; convolutions too, because there is no kernel on the CPU for what would come
out: for these, calibration rows say how large the numbers in between are. ONNX Runtime's own optimisation stops before
layouts that hold for one kind of processor alone.

A step that changes nothing is refused: a version that is the old one under another name helps nobody.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime import quantization
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from exporter import row_scales
from exporter.arrays import Array, Rows
from exporter.errors import GraphError
from exporter.foreign import told
from exporter.graph import check, opset_of, parse


@dataclass(frozen=True, slots=True)
class Steps:
    """What the user asks for, done in this order. `calibration` rows make int8 static."""

    opset: int = 0
    optimise: bool = False
    fp16: bool = False
    int8: bool = False
    calibration: Rows | None = None

    def names(self) -> list[str]:
        """As the manifest and a person name them."""
        int8 = "int8, row by row" if self.calibration is None else f"int8, static on {_rows_of(self.calibration)} rows"
        chosen = {
            f"opset {self.opset}": bool(self.opset),
            f"ONNX Runtime {onnxruntime.__version__} optimisation": self.optimise,
            "fp16": self.fp16,
            int8: self.int8,
        }
        return [name for name, wanted in chosen.items() if wanted]


def taken(graph: bytes, steps: Steps) -> bytes:
    """The graph after the steps. Raises GraphError where a step cannot be taken or changes nothing."""
    if steps.fp16 and steps.int8:
        raise GraphError("fp16 and int8 are two answers to one question: ask for one of them")
    if steps.calibration is not None and not steps.int8:
        raise GraphError("calibration rows are for int8: ask for it too")
    wanted: list[tuple[str, bool, Callable[[onnx.ModelProto], onnx.ModelProto]]] = [
        (f"opset {steps.opset}", bool(steps.opset), lambda model: _of_opset(model, steps.opset)),
        ("optimisation", steps.optimise, _optimised),
        ("fp16", steps.fp16, _fp16),
        ("int8", steps.int8, lambda model: _int8(model, steps.calibration)),
    ]
    for name, asked, take in wanted:
        graph = _step(graph, name, take) if asked else graph
    return graph


def _step(graph: bytes, name: str, take: Callable[[onnx.ModelProto], onnx.ModelProto]) -> bytes:
    before = parse(graph)
    try:
        after = take(before)
    except Exception as error:  # these libraries raise whatever they meet
        raise GraphError(f"{name} cannot be had for this graph: {told(error)}") from error
    if _computation(after) == _computation(parse(graph)):
        raise GraphError(f"{name} changes nothing in this graph: there is nothing for it to work on")
    try:
        check(after)
    except GraphError as error:
        raise GraphError(f"{name} makes no valid graph of this one: {error}") from error
    return bytes(after.SerializeToString())


def _computation(model: onnx.ModelProto) -> list[tuple[str, str]]:
    """The operators and weight types in their order: what two graphs that compute alike have in common."""
    nodes = [(node.domain, node.op_type) for node in model.graph.node]
    weights = [("", str(tensor.data_type)) for tensor in model.graph.initializer]
    return [*nodes, *weights, ("opset", str(opset_of(model)))]


def _of_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    return onnx.version_converter.convert_version(model, opset)


def _optimised(model: onnx.ModelProto) -> onnx.ModelProto:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)


def _fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    sorted_later = OnnxModel(convert_float_to_float16(model, keep_io_types=True))
    sorted_later.topological_sort()  # the casts at inputs and outputs were put at the end
    converted: onnx.ModelProto = sorted_later.model
    return converted


def _int8(model: onnx.ModelProto, calibration: Rows | None) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        before, after = str(Path(folder) / "before.onnx"), str(Path(folder) / "after.onnx")
        onnx.save(model, before)
        if calibration is not None:
            quantization.quantize_static(before, after, CalibrationRows(calibration), per_channel=True)
            return onnx.load(after)
        quantization.quantize_dynamic(before, after, op_types_to_quantize=["Gather"])  # and Gemm is MatMul in it
        return row_scales.quantised(onnx.load(after))


class CalibrationRows:
    """Hands the rows to ONNX Runtime one by one, as its quantiser asks for them."""

    def __init__(self, rows: Rows) -> None:
        self._rows = self._one_by_one(rows)

    def get_next(self) -> dict[str, Array] | None:
        return next(self._rows, None)

    @staticmethod
    def _one_by_one(rows: Rows) -> Iterator[dict[str, Array]]:
        for row in range(_rows_of(rows)):
            yield {name: np.ascontiguousarray(values[row : row + 1]) for name, values in rows.items()}


def _rows_of(rows: Rows) -> int:
    return len(next(iter(rows.values())))
