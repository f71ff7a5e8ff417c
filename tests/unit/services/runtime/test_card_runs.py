"""What is tried on a card that is acted out before rows are refused, and what of it survives which other runs."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from services.runtime.capture_gate import CaptureGate
from services.runtime.devices import Wanted, executions
from services.runtime.disk import read_manifest
from services.runtime.errors import DeviceFaultError, ServingError
from services.runtime.serving_config import ServingConfig
from services.runtime.session import Session
from services.runtime.version import load_version
from tests.acted_card import LIGHTNING, Card, acted_card
from tests.unit.services.runtime.tiny import TENSORS_ONLY, echo_graph, model_of, scaling_graph, write_version

# Of FP32: a row of 256 KiB, which on the card is in three places, as input, output and between.
WIDE = 65536


@pytest.fixture
def card() -> Iterator[Card]:
    with acted_card() as card:
        yield card


def session_of(
    folder: Path, graph: bytes, gate: CaptureGate | None = None, row_limit: int = 8, **wanted: object
) -> Session:
    path = folder / "model.onnx"
    path.write_bytes(graph)
    [execution] = executions(Wanted("cuda", 1, 1, **wanted), gate or CaptureGate())
    return Session(path, execution, row_limit)


def wide_graph() -> bytes:
    shape = ["rows", WIDE]
    return model_of(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [],
    )


def wide(session: Session, rows: int) -> bool:
    """Whether so many rows are answered right; False where the card has no room for them."""
    try:
        y = session.start().outputs({"x": np.full((rows, WIDE), rows, np.float32)})["y"]
    except ServingError as error:
        if error.reason != "DEVICE_MEMORY":
            raise
        return False
    assert y.shape == (rows, WIDE)
    assert (y == 2 * rows).all()
    return True


def three(rows: int, value: float = 1.0) -> dict[str, "np.typing.NDArray[np.generic]"]:
    return {"x": np.full((rows, 3), value, np.float32)}


def once(error: Exception) -> Callable[[], None]:
    """Raises it, the first time."""
    left = [error]

    def fail() -> None:
        if left:
            raise left.pop()

    return fail


def test_a_batch_that_fits_is_answered_whatever_ran_before(card: Card, tmp_path: Path) -> None:
    session = session_of(tmp_path, wide_graph(), memory_mb=4)
    assert [wide(session, rows) for rows in (1, 2, 1, 3, 4, 2, 5, 4)] == [True] * 8


def test_a_batch_that_does_not_fit_is_refused_and_smaller_ones_answered(card: Card, tmp_path: Path) -> None:
    session = session_of(tmp_path, wide_graph(), memory_mb=4)
    assert [wide(session, rows) for rows in (1, 8, 1, 4)] == [True, False, True, True]


def test_after_a_full_card_a_shape_is_bound_again(card: Card, tmp_path: Path) -> None:
    session = session_of(tmp_path, wide_graph(), memory_mb=4)
    for rows in (1, 8, 1):
        wide(session, rows)
    assert card.rows == [1, 1]  # eight find no room as they are bound
    assert card.plain_runs == 2


def test_memory_that_is_no_arena_is_not_the_callers_fault(card: Card, tmp_path: Path) -> None:
    card.has_arena = False
    session = session_of(tmp_path, wide_graph(), memory_mb=4)
    assert [wide(session, rows) for rows in (1, 8, 1)] == [True, False, True]


def test_a_run_that_shrinks_is_ended_as_any_other(card: Card, tmp_path: Path) -> None:
    run = session_of(tmp_path, scaling_graph()).start()

    def ended_on_a_full_card() -> None:
        run.terminate()
        raise RuntimeError("Error in execution: out of memory")

    card.in_run = ended_on_a_full_card
    with pytest.raises(Fail, match="terminate"):
        run.outputs(three(1))


def test_the_options_of_a_run_that_shrinks_shrink_no_more(card: Card, tmp_path: Path) -> None:
    run = session_of(tmp_path, scaling_graph()).start()
    card.in_run = once(RuntimeError("Error in execution: out of memory"))
    for _ in range(2):
        run.outputs(three(1))
    assert (len(card.runs), card.shrinkages) == (2, 1)


def test_with_graphs_a_full_card_spoils_none(card: Card, tmp_path: Path) -> None:
    session = session_of(tmp_path, wide_graph(), row_limit=4, memory_mb=5, graph_rows=(1,))
    # Two find room once the largest batch's buffers are dropped; three would if the arena were shrunk.
    assert [wide(session, rows) for rows in (1, 2, 3, 1)] == [True, True, False, True]
    assert card.plain_runs == 2


def test_a_larger_batch_without_a_graph_spoils_none(card: Card, tmp_path: Path) -> None:
    session = session_of(tmp_path, scaling_graph(), graph_rows=(2, 4))
    for rows in (2, 4, 8, 2, 4):
        assert session.start().outputs(three(rows))["y"].tolist() == [[2, 2, 2]] * rows


@pytest.mark.parametrize("text", ["CUBLAS failure 1: not initialized", "CUDNN failure 4000: internal error"])
def test_a_library_that_did_not_start_has_the_rows_run_again(card: Card, text: str, tmp_path: Path) -> None:
    session = session_of(tmp_path, scaling_graph())
    card.in_run = once(RuntimeError(f"Error in execution: {text}"))
    assert session.start().outputs(three(1))["y"].tolist() == [[2, 2, 2]]


def test_a_library_that_did_not_start_on_a_lost_card_is_a_lost_card(card: Card, tmp_path: Path) -> None:
    session = session_of(tmp_path, scaling_graph())
    card.in_run = once(RuntimeError("Error in execution: CUBLAS failure 1: not initialized"))
    with pytest.raises(DeviceFaultError, match="CUDA failure 700"):
        session.start().outputs(three(1, LIGHTNING))


@pytest.mark.parametrize(("number", "bound_runs"), [(901, 2), (9, 1)], ids=["a capture", "anything else"])
def test_a_shape_is_not_given_up_for_what_came_between_a_capture(
    card: Card, number: int, bound_runs: int, tmp_path: Path
) -> None:
    session = session_of(tmp_path, scaling_graph())
    card.in_run = once(RuntimeError(f"Error in execution: CUDA failure {number}: of some kind"))
    for _ in range(2):
        assert session.start().outputs(three(1))["y"].tolist() == [[2, 2, 2]]
    assert len(card.runs) == bound_runs


def test_pages_that_cannot_be_locked_do_not_fail_the_run(card: Card, tmp_path: Path) -> None:
    card.cuda.can_lock = False
    session = session_of(tmp_path, scaling_graph())
    assert session.start().outputs(three(1))["y"].tolist() == [[2, 2, 2]]
    assert card.plain_runs == 0


@pytest.mark.parametrize("graph_rows", [(), (1,)], ids=["runs", "graphs"])
def test_a_worker_has_a_context_on_its_own_card_alone(card: Card, graph_rows: tuple[int, ...], tmp_path: Path) -> None:
    session = session_of(tmp_path, scaling_graph(), graph_rows=graph_rows, device_ids=(2,))
    with ThreadPoolExecutor(1) as worker:
        worker.submit(session.start().outputs, three(1)).result()
    assert card.cuda.contexts == {2}


def used(folder: Path, gate: CaptureGate, card: Card) -> object:
    session = session_of(folder, scaling_graph(), gate)
    session.start().outputs(three(1))
    return session


def not_capturable(folder: Path, gate: CaptureGate, card: Card) -> object:
    try:
        return session_of(folder, echo_graph(), gate, graph_rows=(1,))
    except ServingError as error:  # which holds the frames that it came through
        return error


def not_run(folder: Path, gate: CaptureGate, card: Card) -> object:
    beyond = model_of(
        [helper.make_node("Gather", ["x", "place"], ["y"])],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(np.array([99]), "place")],
    )
    version = write_version(folder, graph=beyond)
    manifest = read_manifest(folder, "tiny", "1")
    try:
        return load_version(version, manifest, ServingConfig(), executions(Wanted("cuda", 1, 1), gate), TENSORS_ONLY)
    except ServingError as error:
        return error


@pytest.mark.parametrize("made", [used, not_capturable, not_run])
def test_a_session_that_goes_spoils_no_capture(
    card: Card, made: Callable[[Path, CaptureGate, Card], object], tmp_path: Path
) -> None:
    gate = CaptureGate()
    held = [made(tmp_path, gate, card)]
    with ThreadPoolExecutor(1) as other:
        with gate.alone():
            card.cuda.capturing = threading.get_ident()
            gone = other.submit(held.clear)
            wait([gone], timeout=0.3)
            card.cuda.capturing = None
        gone.result(10)
    assert (card.cuda.spoilt, card.cuda.freed[-1:]) == ([], ["a session"])


def test_a_capture_that_waits_for_a_session_to_load_keeps_no_run_waiting(card: Card, tmp_path: Path) -> None:
    gate, came = CaptureGate(), threading.Event()

    def capture() -> None:
        with gate.alone():
            came.set()

    def run() -> None:
        with gate.together():
            pass

    with ThreadPoolExecutor(2) as others:

        def meanwhile() -> None:
            others.submit(capture)
            assert not came.wait(0.2)
            others.submit(run).result(10)

        card.in_load = meanwhile
        session_of(tmp_path, scaling_graph(), gate)
        assert came.wait(10)
