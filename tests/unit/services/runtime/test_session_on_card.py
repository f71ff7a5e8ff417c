"""A session on a card that is acted out: its buffers, its graphs, and what its errors mean."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.capi.onnxruntime_pybind11_state import Fail
from structlog.testing import capture_logs

from services.runtime.capture_gate import CaptureGate
from services.runtime.device_runs import NO_GRAPH
from services.runtime.devices import Wanted, executions
from services.runtime.errors import Cause, DeviceFaultError, ServingError
from services.runtime.session import Session
from tests.acted_card import LIGHTNING, TOO_MUCH, Card, acted_card
from tests.unit.services.runtime.tiny import echo_graph, lookup_graph, model_of, scaling_graph


@pytest.fixture
def card() -> Iterator[Card]:
    with acted_card() as card:
        yield card


def on_card(
    folder: Path,
    graph: bytes,
    *graph_rows: int,
    row_limit: int = 32,
    provider: str = "cuda",
    gate: CaptureGate | None = None,
    **wanted: object,
) -> Session:
    path = folder / "model.onnx"
    path.write_bytes(graph)
    [execution] = executions(Wanted(provider, 1, 1, graph_rows=graph_rows, **wanted), gate or CaptureGate())
    return Session(path, execution, row_limit)


def ones(rows: int, value: float = 1.0) -> dict[str, "np.typing.NDArray[np.generic]"]:
    return {"x": np.full((rows, 3), value, np.float32)}


def test_runs_go_through_buffers_on_the_card_that_are_made_once_a_shape(card: Card, tmp_path: Path) -> None:
    scaling = on_card(tmp_path, scaling_graph(3))
    for value in (1.0, 2.0):
        np.testing.assert_array_equal(scaling.start().outputs(ones(2, value))["y"], 3 * ones(2, value)["x"])
    assert (card.plain_runs, len(card.runs), card.buffers) == (0, 2, [0, 0])


def test_the_buffers_of_an_instance_are_on_its_own_card(card: Card, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(scaling_graph())
    for execution in executions(Wanted("cuda", 1, 2, (2, 3)), CaptureGate()):
        Session(path, execution, 32).start().outputs(ones(1))
    assert card.buffers == [2, 2, 3, 3]


def test_onnx_runtime_may_not_go_on_on_the_cpu_by_itself(card: Card, tmp_path: Path) -> None:
    on_card(tmp_path, scaling_graph())
    assert card.fallbacks == [False]


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_session_that_was_given_the_cpu_in_the_cards_place_is_a_refused_load(
    provider: str, card: Card, tmp_path: Path
) -> None:
    card.falls_back = True
    with pytest.raises(ServingError, match=f"'{provider}' was asked for") as raised:
        on_card(tmp_path, scaling_graph(), provider=provider)
    assert (raised.value.cause, raised.value.reason) == (Cause.REFUSED_LOAD, "PROVIDER_UNAVAILABLE")


def test_texts_run_without_buffers(card: Card, tmp_path: Path) -> None:
    found = on_card(tmp_path, echo_graph()).start().outputs({"x": np.array([[b"a"]], np.object_)})["y"]
    assert (found.tolist(), card.plain_runs, card.runs) == ([[b"a"]], 1, [])


def test_a_value_that_the_graph_does_not_take_is_the_callers_fault(card: Card, tmp_path: Path) -> None:
    lookup = on_card(tmp_path, lookup_graph())
    with pytest.raises(ServingError) as raised:
        lookup.start().outputs({"x": np.array([[7]], np.int64)})
    assert (raised.value.cause, raised.value.reason) == (Cause.INVALID_INPUT, "VALUE_OUT_OF_RANGE")
    assert lookup.start().outputs({"x": np.array([[1]], np.int64)})["y"].tolist() == [[[2, 3]]]
    assert card.plain_runs == 1


def test_a_shape_that_cannot_be_bound_runs_without_buffers_from_then_on(card: Card, tmp_path: Path) -> None:
    unruly = model_of(  # it says that it has as many rows as its input, and has one for each value above 0
        [
            helper.make_node("Greater", ["x", "zero"], ["is_above"]),
            helper.make_node("NonZero", ["is_above"], ["places"]),
            helper.make_node("Transpose", ["places"], ["y"]),
        ],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 1])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, ["rows", 2])],
        [numpy_helper.from_array(np.float32(0), "zero")],
    )
    found = on_card(tmp_path, unruly)
    for _ in range(2):
        y = found.start().outputs({"x": np.array([[1], [-1], [1]], np.float32)})["y"]
        assert y.tolist() == [[0, 0], [2, 0]]
    assert (len(card.runs), card.plain_runs) == (1, 2)


def test_a_lost_card_is_told_from_other_failures(card: Card, tmp_path: Path) -> None:
    with pytest.raises(DeviceFaultError, match="CUDA failure 700"):
        on_card(tmp_path, scaling_graph()).start().outputs(ones(1, LIGHTNING))


def test_a_full_card_refuses_the_rows_and_goes_on(card: Card, tmp_path: Path) -> None:
    scaling = on_card(tmp_path, scaling_graph())
    with pytest.raises(ServingError) as raised:
        scaling.start().outputs(ones(1, TOO_MUCH))
    assert (raised.value.cause, raised.value.reason, raised.value.retry_after_s) == (
        Cause.EXHAUSTED,
        "DEVICE_MEMORY",
        1.0,
    )
    assert scaling.start().outputs(ones(1))["y"].tolist() == [[2, 2, 2]]


def test_each_preferred_number_of_rows_has_a_graph_and_others_have_none(card: Card, tmp_path: Path) -> None:
    scaling = on_card(tmp_path, scaling_graph(), 2, 4)
    for rows in (2, 3, 4, 2):
        assert scaling.start().outputs(ones(rows))["y"].tolist() == [[2, 2, 2]] * rows
    assert [graph for _, graph, _ in card.runs] == ["-1", "2", "-1", "4", "2"]  # the largest batch is first
    assert card.runs[1][2] == card.runs[4][2]


def uncapturable(card: Card) -> None:
    """Each capture from now on fails."""

    def fail() -> None:
        if card.cuda.capturing is not None:
            raise RuntimeError("Error in execution: CUDA failure 900: operation not permitted when stream is capturing")

    card.in_run = fail


def test_a_shape_is_given_up_once_three_of_its_captures_have_failed(card: Card, tmp_path: Path) -> None:
    scaling = on_card(tmp_path, scaling_graph(), 2, 4, 8)
    uncapturable(card)
    for rows in (2, 2, 4, 2, 2, 4, 4, 4):
        assert scaling.start().outputs(ones(rows))["y"].tolist() == [[2, 2, 2]] * rows
    captures = [rows for rows, (_, graph, _) in zip(card.rows, card.runs, strict=True) if graph != str(NO_GRAPH)]
    assert captures == [2, 2, 4, 2, 4, 4]


def test_each_capture_that_fails_is_logged(card: Card, tmp_path: Path) -> None:
    scaling = on_card(tmp_path, scaling_graph(), 2)
    uncapturable(card)
    with capture_logs() as logs:
        for _ in range(4):
            scaling.start().outputs(ones(2))
    assert [log["event"] for log in logs] == ["no CUDA graph captured"] * 3 + ["runs without device buffers"]


def test_without_graphs_none_is_asked_for(card: Card, tmp_path: Path) -> None:
    on_card(tmp_path, scaling_graph()).start().outputs(ones(2))
    assert [graph for _, graph, _ in card.runs] == [str(NO_GRAPH)]
    assert "enable_cuda_graph" not in card.providers[0][0][1]


def varying_graph() -> bytes:
    shape = ["rows", "n"]
    return model_of(
        [helper.make_node("Identity", ["x"], ["y"])],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [],
    )


@pytest.mark.parametrize(
    ("graph", "row_limit", "says"),
    [
        (varying_graph(), 32, "input 'x' has a dimension that varies"),
        (echo_graph(), 32, "strings"),
        (scaling_graph(), 1, "a run takes 1 rows"),
    ],
    ids=["a varying dimension", "texts", "one row at a time"],
)
def test_what_cannot_be_captured_is_a_refused_load_that_says_why(
    graph: bytes, row_limit: int, says: str, card: Card, tmp_path: Path
) -> None:
    with pytest.raises(ServingError, match=says) as raised:
        on_card(tmp_path, graph, 4, row_limit=row_limit)
    assert (raised.value.cause, raised.value.reason) == (Cause.REFUSED_LOAD, "CUDA_GRAPHS_IMPOSSIBLE")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            RuntimeError("Please install TensorRT libraries as mentioned in the GPU requirements"),
            "PROVIDER_UNAVAILABLE",
        ),
        (RuntimeError('Failed to parse provider option "device_id": CUDA failure 35: old'), "PROVIDER_UNAVAILABLE"),
        (RuntimeError("CUDA failure 35: CUDA driver version is insufficient ; GPU=-1"), "PROVIDER_UNAVAILABLE"),
        (RuntimeError('Unknown provider option: "prefer_speed".'), "SERVING_CONFIG_WRONG"),
        (RuntimeError('Failed to parse provider option "use_tf32": maybe'), "SERVING_CONFIG_WRONG"),
        (RuntimeError("The value for the key 'trt_fp16_enable' should be 'True' or 'False'."), "SERVING_CONFIG_WRONG"),
        (RuntimeError("CUDA failure 803: system has unsupported display driver ; GPU=-1"), "PROVIDER_UNAVAILABLE"),
        (Fail("This session cannot use the graph capture feature as requested by the user"), "CUDA_GRAPHS_IMPOSSIBLE"),
        (Fail("Failed to allocate memory for requested buffer of size 91000000"), "DEVICE_MEMORY"),
        (Fail("Node (x) has input size 1 not in range"), "MODEL_UNLOADABLE"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_onnx_runtime_says_of_a_load_is_told_in_our_words(
    error: Exception, reason: str, card: Card, tmp_path: Path
) -> None:
    def fail() -> None:
        raise error

    card.in_load = fail
    with pytest.raises(ServingError) as raised:
        on_card(tmp_path, scaling_graph(), 4)
    assert (raised.value.cause, raised.value.reason) == (Cause.REFUSED_LOAD, reason)
    assert str(error) not in raised.value.message


def test_a_graph_that_tensorrt_takes_in_parts_is_refused_with_what_to_do(card: Card, tmp_path: Path) -> None:
    def fail() -> None:
        raise Fail("User needs to provide all the dynamic shape inputs with associated profiles")

    card.in_load = fail
    with pytest.raises(ServingError, match="trt_profile_min_shapes") as raised:
        on_card(tmp_path, scaling_graph(), provider="tensorrt")
    assert raised.value.reason == "ENGINE_IMPOSSIBLE"


def test_a_card_that_is_lost_as_a_graph_is_loaded_is_lost(card: Card, tmp_path: Path) -> None:
    def fail() -> None:
        raise Fail("CUDA failure 719: unspecified launch failure ; GPU=0")

    card.in_load = fail
    with pytest.raises(DeviceFaultError, match="CUDA failure 719"):
        on_card(tmp_path, scaling_graph())
