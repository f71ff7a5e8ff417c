"""Runs through bindings, on the CPU: they answer byte for byte as plain runs do."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from services.runtime.device_buffers import HOST, MAX_SHAPES
from services.runtime.graph_nodes import bound_nodes
from tests.unit.services.runtime.counted import CountedSession, assert_as_plain, runs
from tests.unit.services.runtime.tiny import echo_graph, lookup_graph, model_of, scaling_graph, slow_graph

TYPES = {
    TensorProto.FLOAT: np.float32,
    TensorProto.DOUBLE: np.float64,
    TensorProto.FLOAT16: np.float16,
    TensorProto.INT64: np.int64,
    TensorProto.INT8: np.int8,
    TensorProto.UINT8: np.uint8,
    TensorProto.BOOL: np.bool_,
}


def several_graph() -> bytes:
    """b = its input, the non-zero places of a (as many as there are), a = a + a: an output of unknown size between."""
    nodes = [
        helper.make_node("Identity", ["b"], ["same"]),
        helper.make_node("NonZero", ["a"], ["found"]),
        helper.make_node("Transpose", ["found"], ["places"]),
        helper.make_node("Add", ["a", "a"], ["twice"]),
    ]
    float32, int64 = TensorProto.FLOAT, TensorProto.INT64
    inputs = [
        helper.make_tensor_value_info("a", float32, ["rows", 3]),
        helper.make_tensor_value_info("b", int64, ["rows", "n"]),
    ]
    outputs = [
        helper.make_tensor_value_info("same", int64, ["rows", "n"]),
        helper.make_tensor_value_info("places", int64, ["found", 2]),
        helper.make_tensor_value_info("twice", float32, ["rows", 3]),
    ]
    return model_of(nodes, inputs, outputs, [])


@pytest.mark.parametrize("onnx_type", TYPES, ids=[np.dtype(dtype).name for dtype in TYPES.values()])
def test_every_type_comes_back_as_from_a_plain_run(onnx_type: int) -> None:
    graph = model_of(
        [helper.make_node("Identity", ["x"], ["y"])],
        [helper.make_tensor_value_info("x", onnx_type, ["rows", 2, 3])],
        [helper.make_tensor_value_info("y", onnx_type, ["rows", 2, 3])],
        [],
    )
    session = CountedSession(graph)
    bound = runs(session)
    for rows in (1, 3, 1):
        values = np.arange(rows * 6).reshape(rows, 2, 3).astype(TYPES[onnx_type])
        assert_as_plain(session, bound, {"x": values})


def test_several_inputs_and_outputs_of_which_one_has_a_size_that_only_the_run_tells() -> None:
    session = CountedSession(several_graph())
    bound = runs(session)
    for ones in (1, 4, 2):
        a = np.zeros((2, 3), np.float32)
        a.ravel()[:ones] = 1
        assert_as_plain(session, bound, {"a": a, "b": np.arange(4).reshape(2, 2) + ones})


def test_answers_outlive_the_next_run() -> None:
    session = CountedSession(scaling_graph(2))
    bound = runs(session)
    first = bound.run({"x": np.ones((2, 3), np.float32)}, ort.RunOptions())
    bound.run({"x": np.zeros((2, 3), np.float32)}, ort.RunOptions())
    assert first is not None
    assert first[0].tolist() == [[2, 2, 2]] * 2


def test_what_is_not_contiguous_is_read_by_its_places() -> None:
    session = CountedSession(scaling_graph(2))
    assert_as_plain(session, runs(session), {"x": np.arange(12, dtype=np.float32).reshape(3, 4).T[:, ::-1]})


def test_a_shape_is_bound_once() -> None:
    session = CountedSession(scaling_graph(2))
    bound = runs(session)
    for rows in (1, 4, 1, 4, 4):
        bound.run({"x": np.ones((rows, 3), np.float32)}, ort.RunOptions())
    assert session.bindings == 2


def test_the_shape_that_was_not_used_for_longest_is_dropped() -> None:
    session = CountedSession(scaling_graph(2))
    bound = runs(session)
    for rows in (*range(1, MAX_SHAPES + 1), 1, MAX_SHAPES + 1, 1):
        bound.run({"x": np.ones((rows, 3), np.float32)}, ort.RunOptions())
    assert session.bindings == MAX_SHAPES + 1
    bound.run({"x": np.ones((2, 3), np.float32)}, ort.RunOptions())
    assert session.bindings == MAX_SHAPES + 2


def test_a_shape_that_was_given_up_is_not_bound_again() -> None:
    session = CountedSession(scaling_graph(2))
    bound = runs(session)
    x = {"x": np.ones((2, 3), np.float32)}
    bound.run(x, ort.RunOptions())
    bound.give_up(x)
    assert bound.run(x, ort.RunOptions()) is None
    assert bound.run({"x": np.ones((3, 3), np.float32)}, ort.RunOptions()) is not None


def test_a_bound_run_can_be_ended() -> None:
    session = CountedSession(slow_graph())
    options = ort.RunOptions()
    options.terminate = True
    with pytest.raises(RuntimeError, match="terminate"):
        runs(session).run({"x": np.zeros((1, 3), np.float32)}, options)


def test_threads_that_share_it_get_their_own_answers() -> None:
    session = CountedSession(scaling_graph(2))
    bound = runs(session)

    def twice(value: int) -> list[float]:
        found = bound.run({"x": np.full((1, 3), value, np.float32)}, ort.RunOptions())
        assert found is not None
        return list(found[0][0])

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(twice, range(200))) == [[2.0 * value] * 3 for value in range(200)]


def test_a_thread_says_which_card_its_calls_are_for_before_it_makes_any() -> None:
    calls: list[str] = []
    bound = runs(CountedSession(scaling_graph(2)), calls=calls)
    for _ in range(2):
        bound.run({"x": np.ones((2, 3), np.float32)}, ort.RunOptions())
    assert calls == ["card", "staging", "card"]


def test_a_thread_says_so_for_a_run_without_buffers_too() -> None:
    calls: list[str] = []
    bound = runs(CountedSession(scaling_graph(2)), calls=calls)
    x = {"x": np.ones((2, 3), np.float32)}
    bound.give_up(x)
    assert bound.run(x, ort.RunOptions()) is None
    assert calls == ["card"]


@pytest.mark.parametrize("graph", [echo_graph(), lookup_graph()], ids=["strings", "numbers"])
def test_strings_have_no_buffers(graph: bytes) -> None:
    has_buffers = bound_nodes(CountedSession(graph), HOST) is not None
    assert has_buffers == (graph == lookup_graph())
