"""Graphs written in expressions: what they compute, and that a model is included with its weights once."""

import numpy as np
import onnx
import pytest

from exporter.parity import Array
from exporter.verify import open_session
from training.onnx_graph import GraphText, Value


def run(graph: GraphText, value: Value, shape: tuple[int, ...], given: Array) -> Array:
    model = graph.model({"answer": (value, shape)}, opset=18)
    onnx.checker.check_model(model, full_check=True)
    answer: Array = open_session(model.SerializeToString()).run(None, {"x": given})[0]
    return answer


ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)


def test_numbers_and_arrays_in_an_expression_become_constants() -> None:
    graph = GraphText("expression")
    x = graph.input("x", onnx.TensorProto.FLOAT, (3, 4))

    answer = run(graph, (x - 1.0) * np.array([1, 2, 3, 4], np.float32) + x, (3, 4), ROWS)

    np.testing.assert_array_equal(answer, (ROWS - 1) * [1, 2, 3, 4] + ROWS)


def test_rows_and_columns_are_cut_as_python_cuts_them() -> None:
    graph = GraphText("slices")
    x = graph.input("x", onnx.TensorProto.FLOAT, (3, 4))

    answer = run(graph, x.rows(0, -1).columns(1, 3), (2, 2), ROWS)

    np.testing.assert_array_equal(answer, ROWS[0:-1, 1:3])


def doubling_model() -> onnx.ModelProto:
    graph = GraphText("doubling")
    x = graph.input("input_1", onnx.TensorProto.FLOAT, (3, 4))
    return graph.model({"doubled": (x * 2.0, (3, 4))}, opset=18)


def test_a_model_that_is_included_twice_has_its_weights_once() -> None:
    graph = GraphText("quadrupling")
    x = graph.input("x", onnx.TensorProto.FLOAT, (3, 4))
    (once,) = graph.include(doubling_model(), "doubling", x)
    (twice,) = graph.include(doubling_model(), "doubling", once)

    model = graph.model({"answer": (twice, (3, 4))}, opset=18)

    assert len(model.graph.initializer) == 1
    np.testing.assert_array_equal(open_session(model.SerializeToString()).run(None, {"x": ROWS})[0], ROWS * 4)


def test_a_value_of_another_shape_than_stated_is_found_by_the_checker() -> None:
    graph = GraphText("wrong")
    x = graph.input("x", onnx.TensorProto.FLOAT, (3, 4))

    with pytest.raises(onnx.shape_inference.InferenceError):
        run(graph, x.transposed(1, 0), (3, 4), ROWS)
