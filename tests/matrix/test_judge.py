"""The judge: what it takes for equal, and what it finds."""

from pathlib import Path

import numpy as np
import onnx

from tests.matrix.case import Equal
from tests.matrix.describe import FEATURES, PROBABILITIES
from tests.matrix.judge import Judgement, judge
from tests.matrix.sources.onnx import graph

WEIGHTS = np.random.default_rng(0).normal(size=(13, 3)).astype(np.float32)
ROWS = np.random.default_rng(1).normal(size=(12, 13)).astype(np.float32)


def named(model: onnx.ModelProto, batch: str | int = "batch") -> onnx.ModelProto:
    """The graph as the exporter names it."""
    model.graph.node[0].input[0] = model.graph.input[0].name = FEATURES
    model.graph.node[-1].output[0] = model.graph.output[0].name = PROBABILITIES
    for value in (*model.graph.input, *model.graph.output):
        dimension = value.type.tensor_type.shape.dim[0]
        dimension.Clear()
        if isinstance(batch, str):
            dimension.dim_param = batch
        else:
            dimension.dim_value = batch
    return model


def answers(weights: np.ndarray = WEIGHTS) -> np.ndarray:
    powers = np.exp(ROWS.astype(np.float64) @ weights)
    return powers / powers.sum(axis=1, keepdims=True)


def judged(folder: Path, model: onnx.ModelProto, expected: np.ndarray) -> Judgement:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return judge(path, {"held out": {FEATURES: ROWS}}, {"held out": {PROBABILITIES: expected}}, Equal())


def test_a_graph_that_answers_as_its_source_has_no_fault(tmp_path: Path) -> None:
    judgement = judged(tmp_path, named(graph(WEIGHTS)), answers())
    assert judgement.fault == ""
    assert judgement.rows == 12
    assert 0 < judgement.worst_error < 1e-6


def test_one_weight_that_differs_is_found(tmp_path: Path) -> None:
    weights = WEIGHTS.copy()
    weights[3, 1] += 0.01
    assert "'probabilities' is off by" in judged(tmp_path, named(graph(weights)), answers()).fault


def test_a_batch_that_does_not_vary_is_found(tmp_path: Path) -> None:
    judgement = judged(tmp_path, named(graph(WEIGHTS), batch=12), answers())
    assert judgement.fault == "'features' has a batch that does not vary: [12, 13]"


def test_a_made_up_dimension_is_found(tmp_path: Path) -> None:
    judgement = judged(tmp_path, named(graph(WEIGHTS), batch="unk__36"), answers())
    assert judgement.fault == "'unk__36' is a name that a converter made up"


def test_made_up_tensors_are_found(tmp_path: Path) -> None:
    judgement = judged(tmp_path, graph(WEIGHTS), answers())
    assert judgement.fault.startswith("the graph reads ['input_1'] and answers ['Identity:0']")


def test_a_single_row_that_is_answered_otherwise_than_in_a_batch_is_found(tmp_path: Path) -> None:
    model = named(graph(WEIGHTS))
    model.graph.node[-1].attribute[0].i = 0  # softmax over the batch: right for one class a column, by chance
    powers = np.exp(ROWS.astype(np.float64) @ WEIGHTS)
    assert judged(tmp_path, model, powers / powers.sum(axis=0)).fault.startswith("held out, rows 0 to 1, ")


def test_another_number_of_columns_is_found(tmp_path: Path) -> None:
    assert "the source's is (12, 2)" in judged(tmp_path, named(graph(WEIGHTS)), answers()[:, :2]).fault


def test_nan_where_the_source_has_a_number_is_found(tmp_path: Path) -> None:
    weights = WEIGHTS.copy()
    weights[0, 0] = np.nan
    judgement = judged(tmp_path, named(graph(weights)), answers())
    assert judgement.worst_error == np.inf
    assert judgement.fault


def test_nan_where_the_source_has_nan_is_equal(tmp_path: Path) -> None:
    weights = WEIGHTS.copy()
    weights[0, 0] = np.nan
    assert judged(tmp_path, named(graph(weights)), np.full((12, 3), np.nan)).fault == ""
