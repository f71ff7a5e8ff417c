"""ONNX files of the matrix: small graphs written by hand; the answers are numpy's, not ONNX Runtime's."""

from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.matrix import describe
from tests.matrix.case import Made, Rows
from tests.matrix.data import Table, wine
from tests.matrix.describe import FEATURES, PROBABILITIES

FILE = "model.onnx"
_IR_VERSION, _OPSET = 10, 18


def onnx_linear(folder: Path) -> Made:
    return _saved(folder, graph(_weights()))


def onnx_frozen_batch(folder: Path) -> Made:
    """A batch of 1 that is only a habit of whoever exported the file."""
    return _saved(folder, graph(_weights(), batch=1))


def onnx_one_row(folder: Path) -> Made:
    """A batch of 1 by nature: the graph reshapes to it."""
    model = graph(_weights(), batch=1)
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 13], np.int64), "shape"))
    model.graph.node.insert(0, helper.make_node("Reshape", ["input_1", "shape"], ["row"]))
    model.graph.node[1].input[0] = "row"
    return replace(_saved(folder, model), flags=("--one-row",))


def onnx_one_row_unsaid(folder: Path) -> Made:
    return replace(onnx_one_row(folder), flags=())


def onnx_weights_as_inputs(folder: Path) -> Made:
    """Files of IR version 3 list their weights among the inputs."""
    model = graph(_weights(), ir_version=3, opset=9)
    model.graph.input.append(helper.make_tensor_value_info("weights", TensorProto.FLOAT, [13, 3]))
    return _saved(folder, model)


def onnx_external_data(folder: Path) -> Made:
    model = graph(_weights())
    onnx.save(model, folder / FILE, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return _made(_weights())


def onnx_data_outside(folder: Path) -> Made:
    """The file says that its weights are in a folder above its own."""
    made = onnx_external_data(folder)
    model = onnx.load(folder / FILE, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = "../weights.bin"
    (folder / "weights.bin").replace(folder.parent / "weights.bin")
    (folder / FILE).write_bytes(model.SerializeToString())
    return made


def onnx_data_absent(folder: Path) -> Made:
    made = onnx_external_data(folder)
    (folder / "weights.bin").unlink()
    return made


def onnx_old_opset(folder: Path) -> Made:
    return _saved(folder, graph(_weights(), ir_version=3, opset=7))


def onnx_custom_operator(folder: Path) -> Made:
    """An operator of somebody's own library, which ONNX Runtime has not."""
    model = graph(_weights())
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    model.graph.node.append(helper.make_node("Calibrate", ["Identity:0"], ["calibrated"], domain="com.example"))
    model.graph.output[0].name = "calibrated"
    return _saved(folder, model)


def onnx_truncated(folder: Path) -> Made:
    made = onnx_linear(folder)
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(content[: len(content) // 2])
    return made


def onnx_empty(folder: Path) -> Made:
    made = onnx_linear(folder)
    (folder / FILE).write_bytes(b"")
    return made


def onnx_pickle_in_disguise(folder: Path) -> Made:
    """A pickle that is called model.onnx."""
    made = onnx_linear(folder)
    joblib.dump({"weights": _weights()}, folder / FILE)
    return made


def graph(
    weights: np.ndarray, *, batch: int | str = "unk__36", opset: int = _OPSET, ir_version: int = _IR_VERSION
) -> onnx.ModelProto:
    """probabilities = softmax(input_1 · weights), named as a converter would."""
    nodes = [
        helper.make_node("MatMul", ["input_1", "weights"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["Identity:0"], axis=1),
    ]
    inner = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("input_1", TensorProto.FLOAT, [batch, 13])],
        [helper.make_tensor_value_info("Identity:0", TensorProto.FLOAT, [batch, 3])],
        [numpy_helper.from_array(weights, "weights")],
    )
    return helper.make_model(inner, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)


def _table() -> Table:
    return wine(scaled=True)


def _weights() -> np.ndarray:
    """The least-squares classifier of the wines."""
    table = _table()
    weights, *_ = np.linalg.lstsq(table.fit_rows, np.eye(3)[table.fit_targets], rcond=None)
    return weights.astype(np.float32)


def _saved(folder: Path, model: onnx.ModelProto) -> Made:
    (folder / FILE).write_bytes(model.SerializeToString())
    return _made(_weights())


def _made(weights: np.ndarray) -> Made:
    table = _table()
    description = describe.numbers(13, PROBABILITIES)
    return Made(FILE, description, {FEATURES: table.samples}, table.fresh(), lambda rows: _answers(weights, rows))


def _answers(weights: np.ndarray, rows: Rows) -> Rows:
    scores = rows[FEATURES].astype(np.float64) @ weights
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return {PROBABILITIES: powers / powers.sum(axis=1, keepdims=True)}
