"""Runs through bindings, on the CPU: they answer byte for byte as plain runs do."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from services.runtime.capture_gate import CaptureGate
from services.runtime.card import Staging
from services.runtime.device_runs import HOST, MAX_SHAPES, DeviceRuns, Graphs
from services.runtime.front import Array
from services.runtime.graph_nodes import bound_nodes
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


class CountedSession(ort.InferenceSession):  # type: ignore[misc]
    """Counts the bindings that are made, and the graph numbers that runs are given."""

    def __init__(self, graph: bytes) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = 4
        super().__init__(graph, options, providers=["CPUExecutionProvider"])
        self.bindings = 0
        self.graphs: list[int] = []

    def io_binding(self) -> ort.IOBinding:
        self.bindings += 1
        return super().io_binding()

    def run_with_iobinding(self, iobinding: ort.IOBinding, run_options: ort.RunOptions) -> None:
        try:
            self.graphs.append(int(run_options.get_run_config_entry("gpu_graph_id")))
        except RuntimeError:  # none was given
            self.graphs.append(0)
        super().run_with_iobinding(iobinding, run_options)


def runs(session: CountedSession, graphs: Graphs | None = None, gate: CaptureGate | None = None) -> DeviceRuns:
    nodes = bound_nodes(session, HOST)
    assert nodes is not None
    return DeviceRuns(
        session,
        nodes.inputs,
        nodes.outputs,
        make_staging=lambda shape, dtype: Staging(shape, dtype, None),
        gate=gate or CaptureGate(),
        graphs=graphs,
    )


def assert_as_plain(session: CountedSession, bound: DeviceRuns, inputs: Mapping[str, Array]) -> None:
    plain = session.run(None, inputs)
    found = bound.run(inputs, ort.RunOptions())
    assert found is not None
    assert [(array.dtype, array.shape, array.tobytes()) for array in found] == [
        (array.dtype, array.shape, array.tobytes()) for array in plain
    ]


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


def test_a_preferred_number_of_rows_runs_as_its_graph_and_another_as_the_caller_says() -> None:
    session = CountedSession(scaling_graph(2))
    bound = runs(session, Graphs((2, 4), ort.RunOptions))
    for rows in (2, 3, 4, 2):
        assert_as_plain(session, bound, {"x": np.ones((rows, 3), np.float32)})
    assert session.graphs == [2, 0, 4, 2]


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
    bound = runs(session, Graphs((2,), ort.RunOptions))
    for length in (3, 4, 3):
        assert_as_plain(session, bound, {"x": np.ones((2, length), np.float32)})
    assert session.graphs == [2, 0, 2]


def test_the_order_in_which_inputs_come_makes_no_other_shape() -> None:
    session = CountedSession(varying_graph("a", "b"))
    bound = runs(session, Graphs((2,), ort.RunOptions))
    a, b = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)
    for inputs in ({"a": a, "b": b}, {"b": b, "a": a}):
        assert_as_plain(session, bound, inputs)
    assert (session.bindings, session.graphs) == (1, [2, 2])


def test_the_buffers_of_a_graph_are_never_dropped() -> None:
    session = CountedSession(scaling_graph(2))
    bound = runs(session, Graphs((100,), ort.RunOptions))
    for rows in (100, *range(1, MAX_SHAPES + 5), 100):
        bound.run({"x": np.ones((rows, 3), np.float32)}, ort.RunOptions())
    assert session.bindings == MAX_SHAPES + 5


@pytest.mark.parametrize(("rows", "waits"), [(4, True), (3, False)], ids=["a capture", "no graph's run"])
def test_a_capture_waits_for_whatever_else_runs(rows: int, waits: bool) -> None:
    gate = CaptureGate()
    bound = runs(CountedSession(scaling_graph(2)), Graphs((4,), ort.RunOptions), gate)
    with ThreadPoolExecutor(1) as thread:
        with gate.together():
            run = thread.submit(bound.run, {"x": np.ones((rows, 3), np.float32)}, ort.RunOptions())
            assert not waits or wait([run], timeout=0.3).not_done
            if not waits:
                run.result(10)
        assert run.result(10) is not None


def test_a_thread_that_has_captured_replays_beside_others() -> None:
    gate = CaptureGate()
    bound = runs(CountedSession(scaling_graph(2)), Graphs((4,), ort.RunOptions), gate)
    x = {"x": np.ones((4, 3), np.float32)}
    bound.run(x, ort.RunOptions())
    with gate.together():
        assert bound.run(x, ort.RunOptions()) is not None


@pytest.mark.parametrize("graph", [echo_graph(), lookup_graph()], ids=["strings", "numbers"])
def test_strings_have_no_buffers(graph: bytes) -> None:
    has_buffers = bound_nodes(CountedSession(graph), HOST) is not None
    assert has_buffers == (graph == lookup_graph())
