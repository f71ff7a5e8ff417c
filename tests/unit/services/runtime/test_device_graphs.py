"""CUDA graphs: which runs are captured and replayed, on which buffers, and what waits meanwhile."""

from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from services.runtime.capture_gate import CaptureGate
from services.runtime.device_buffers import MAX_SHAPES
from tests.unit.services.runtime.counted import CountedSession, assert_as_plain, graphs_of, runs
from tests.unit.services.runtime.tiny import model_of, scaling_graph


def test_a_preferred_number_of_rows_runs_as_its_graph_and_another_as_the_caller_says() -> None:
    session = CountedSession(scaling_graph(2))
    bound = runs(session, graphs_of(2, 4))
    for rows in (2, 3, 4, 2):
        assert_as_plain(session, bound, {"x": np.ones((rows, 3), np.float32)})
    assert session.graphs == [0, 2, 0, 4, 2]  # the largest batch is first


def varying_graph(*names: str) -> bytes:
    """y = the sum of the inputs, FP32 [N, n] each."""
    shape = ["rows", "n"]
    return model_of(
        [helper.make_node("Sum", list(names), ["y"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [],
    )


def test_a_graph_is_of_one_shape_and_another_of_as_many_rows_runs_without() -> None:
    session = CountedSession(varying_graph("x"))
    bound = runs(session, graphs_of(2))
    for length in (3, 4, 3):
        assert_as_plain(session, bound, {"x": np.ones((2, length), np.float32)})
    assert session.graphs == [0, 2, 0, 2]


def test_the_order_in_which_inputs_come_makes_no_other_shape() -> None:
    session = CountedSession(varying_graph("a", "b"))
    bound = runs(session, graphs_of(2))
    a, b = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)
    for inputs in ({"a": a, "b": b}, {"b": b, "a": a}):
        assert_as_plain(session, bound, inputs)
    assert (session.bindings, session.graphs) == (1, [0, 2, 2])


def test_the_buffers_of_a_graph_are_never_dropped() -> None:
    session = CountedSession(scaling_graph(2))
    bound = runs(session, graphs_of(100))
    for rows in (100, *range(1, MAX_SHAPES + 5), 100):
        bound.run({"x": np.ones((rows, 3), np.float32)}, ort.RunOptions())
    assert session.bindings == MAX_SHAPES + 5


@pytest.mark.parametrize(("rows", "waits"), [(4, True), (3, False)], ids=["a capture", "no graph's run"])
def test_a_capture_waits_for_whatever_else_runs(rows: int, waits: bool) -> None:
    gate = CaptureGate()
    bound = runs(CountedSession(scaling_graph(2)), graphs_of(4), gate)
    with ThreadPoolExecutor(1) as thread:
        with gate.together():
            run = thread.submit(bound.run, {"x": np.ones((rows, 3), np.float32)}, ort.RunOptions())
            assert not waits or wait([run], timeout=0.3).not_done
            if not waits:
                run.result(10)
        assert run.result(10) is not None


def test_a_thread_that_has_captured_replays_beside_others() -> None:
    gate = CaptureGate()
    bound = runs(CountedSession(scaling_graph(2)), graphs_of(4), gate)
    x = {"x": np.ones((4, 3), np.float32)}
    bound.run(x, ort.RunOptions())
    with gate.together():
        assert bound.run(x, ort.RunOptions()) is not None


def rows_of(session: CountedSession) -> list[tuple[int, int]]:
    return list(zip(session.graphs, session.rows, strict=True))


def test_a_thread_runs_the_largest_batch_without_a_graph_before_it_captures_one() -> None:
    session = CountedSession(scaling_graph(2))
    bound = runs(session, graphs_of(2, 4, max_rows=8))
    for rows in (2, 4, 2):
        assert_as_plain(session, bound, {"x": np.full((rows, 3), rows, np.float32)})
    assert rows_of(session) == [(0, 8), (2, 2), (4, 4), (2, 2)]


def test_what_a_thread_has_run_it_does_not_run_again_before_it_captures() -> None:
    session = CountedSession(scaling_graph(2))
    bound = runs(session, graphs_of(2, max_rows=8))
    for rows in (8, 2):
        bound.run({"x": np.ones((rows, 3), np.float32)}, ort.RunOptions())
    assert rows_of(session) == [(0, 8), (2, 2)]


def test_each_thread_runs_the_largest_batch_for_itself() -> None:
    session = CountedSession(scaling_graph(2))
    bound = runs(session, graphs_of(2, max_rows=8))
    for _ in range(2):
        with ThreadPoolExecutor(1) as thread:
            thread.submit(bound.run, {"x": np.ones((2, 3), np.float32)}, ort.RunOptions()).result()
    assert rows_of(session) == [(0, 8), (2, 2)] * 2


def test_where_graphs_are_withheld_none_is_captured() -> None:
    session = CountedSession(scaling_graph(2))
    bound = runs(session, graphs_of(2))
    with bound.without_graphs():
        bound.run({"x": np.ones((2, 3), np.float32)}, ort.RunOptions())
    bound.run({"x": np.ones((2, 3), np.float32)}, ort.RunOptions())
    assert session.graphs == [0, 2]


@pytest.mark.parametrize("what", ["a shape", "all that is loose"])
def test_buffers_are_not_freed_while_a_graph_is_captured(what: str) -> None:
    gate = CaptureGate()
    bound = runs(CountedSession(scaling_graph(2)), gate=gate)
    x = {"x": np.ones((2, 3), np.float32)}
    bound.run(x, ort.RunOptions())
    with ThreadPoolExecutor(1) as thread:
        with gate.alone():
            freed = thread.submit(bound.drop_loose) if what != "a shape" else thread.submit(bound.give_up, x)
            assert wait([freed], timeout=0.2).not_done
        freed.result(10)


def test_what_is_loose_is_dropped_and_the_buffers_of_a_graph_stay() -> None:
    session = CountedSession(scaling_graph(2))
    bound = runs(session, graphs_of(2))
    for rows in (2, 3):
        bound.run({"x": np.ones((rows, 3), np.float32)}, ort.RunOptions())
    bound.drop_loose()
    for rows in (2, 3):
        bound.run({"x": np.ones((rows, 3), np.float32)}, ort.RunOptions())
    assert session.bindings == 3
