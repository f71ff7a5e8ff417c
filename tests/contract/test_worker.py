"""A queue as one worker takes from it: batches that may share their memory, one after the other."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from inference.grpc_service_pb2 import ModelInferRequest, ModelInferResponse
from services.runtime.batch_buffers import BatchInPlace, BufferedRows
from services.runtime.errors import ServingError, invalid_input
from services.runtime.front import Array, Batch, Queue, Signature, TensorSignature
from services.runtime.fronts import NATIVE
from services.runtime.tensors import DTYPES
from tests.contract.harness import X_TO_Y, Served, answer, embed, raw_infer, raw_y, spec, tensor


def wide(width: int) -> Signature:
    """More than is kept for a worker, in a batch of eight rows."""
    return Signature((TensorSignature("x", "FP32", (-1, 1)),), (TensorSignature("y", "FP32", (-1, width)),))


def texts() -> Signature:
    return Signature((TensorSignature("x", "BYTES", (-1, 1)),), (TensorSignature("y", "FP32", (-1, 1)),))


OF_TWO = Signature((TensorSignature("x", "FP32", (-1, 2)),), (TensorSignature("y", "FP32", (-1, 2)),))


def taken(queue: Queue) -> Batch:
    batch = queue.take()
    assert batch is not None
    return batch


def double(batch: Batch) -> None:
    """Answer y = 2 x, in the outputs that belong to the inputs where there are such."""
    inputs = batch.tensors()
    if isinstance(inputs, BufferedRows):
        np.multiply(inputs["x"], 2, out=inputs.outputs["y"])
        batch.reply_tensors(inputs.outputs)
    else:
        batch.reply_tensors({"y": inputs["x"] * 2})


def warm(served: Served, queue: Queue) -> None:
    """A first batch, after which a worker may have memory."""
    call = served.infer(raw_infer([[0, 0]]))
    double(taken(queue))
    call.result()


@pytest.fixture
def is_native(front_name: str) -> bool:
    return front_name == NATIVE


@pytest.fixture
def queue(served: Served) -> Queue:
    return served.open(spec(signature=OF_TWO)).for_worker()


def test_batch_after_batch_each_caller_gets_its_own_rows(served: Served, queue: Queue) -> None:
    for first in range(5):
        rows = [[first, 10 * row] for row in range(first + 1)]
        call = served.infer(raw_infer(rows))
        double(taken(queue))
        assert raw_y(call.result()) == [[2 * first, 20 * row] for row in range(first + 1)]


def test_from_the_second_batch_on_the_native_front_gathers_into_the_same_memory(
    served: Served, queue: Queue, is_native: bool
) -> None:
    addresses = []
    for _ in range(4):
        call = served.infer(raw_infer([[1, 2]]))
        batch = taken(queue)
        inputs = batch.tensors()
        addresses.append(inputs["x"].ctypes.data if isinstance(inputs, BufferedRows) else None)
        double(batch)
        assert raw_y(call.result()) == [[2, 4]]
        del batch, inputs
    assert addresses[0] is None
    if is_native:
        assert len(set(addresses[1:])) == 1
        assert addresses[1] is not None
    else:
        assert addresses == [None] * 4


@pytest.mark.parametrize("signature", [X_TO_Y, wide(1 << 20), texts()], ids=["open", "large", "texts"])
def test_what_has_no_known_or_no_small_size_shares_no_memory(served: Served, signature: Signature) -> None:
    queue = served.open(spec(signature=signature)).for_worker()
    for _ in range(3):
        tensor_of_one = signature.inputs[0]
        width = max(tensor_of_one.shape[1], 1)
        array = np.zeros((1, width), np.float32)
        request = ModelInferRequest(model_name="m", inputs=[tensor("x", tensor_of_one.datatype, (1, width))])
        request.raw_input_contents.append(array.tobytes() if tensor_of_one.datatype == "FP32" else bytes(4))
        call = served.infer(request)
        batch = taken(queue)
        assert not isinstance(batch.tensors(), BufferedRows)
        batch.fail(0, _refusal())
        assert call.exception().code() is grpc.StatusCode.INVALID_ARGUMENT


def test_the_requests_of_a_batch_get_their_own_rows(served: Served, queue: Queue) -> None:
    warm(served, queue)
    calls = [served.infer(raw_infer([[number, 1]])) for number in range(3)]
    served.until_waiting(rows=3)
    batch = taken(queue)
    assert (batch.rows, batch.request_count) == (3, 3)
    double(batch)
    assert [raw_y(call.result()) for call in calls] == [[[2 * number, 2]] for number in range(3)]


def test_a_batch_that_is_kept_while_the_next_is_taken_keeps_its_rows(served: Served, queue: Queue) -> None:
    warm(served, queue)
    calls = [served.infer(raw_infer([[1, 1]]))]
    first = taken(queue)
    of_first = first.tensors()["x"]
    calls.append(served.infer(raw_infer([[2, 2]])))
    second = taken(queue)
    assert second.tensors()["x"].tolist() == [[2, 2]]
    assert of_first.tolist() == [[1, 1]]
    double(second)
    double(first)
    assert [raw_y(call.result()) for call in calls] == [[[2, 2]], [[4, 4]]]


def test_two_workers_do_not_share_memory(served: Served, queue: Queue) -> None:
    other = queue.for_worker()
    warm(served, queue)
    warm(served, other)
    calls = [served.infer(raw_infer([[1, 1]]))]
    first = taken(queue)
    calls.append(served.infer(raw_infer([[2, 2]])))
    second = taken(other)
    assert [first.tensors()["x"].tolist(), second.tensors()["x"].tolist()] == [[[1, 1]], [[2, 2]]]
    double(first)
    double(second)
    assert [raw_y(call.result()) for call in calls] == [[[2, 2]], [[4, 4]]]


def test_outputs_of_the_workers_own_making_are_answered_too(served: Served, queue: Queue) -> None:
    warm(served, queue)
    call = served.infer(raw_infer([[1, 2]]))
    batch = taken(queue)
    batch.reply_tensors({"y": batch.tensors()["x"] + 1})
    assert raw_y(call.result()) == [[2, 3]]


def test_one_request_fails_and_the_others_get_their_rows(served: Served, queue: Queue) -> None:
    warm(served, queue)
    calls = [served.infer(raw_infer([[number, 1]])) for number in range(3)]
    served.until_waiting(rows=3)
    batch = taken(queue)
    bad = batch.tensors()["x"][:, 0].tolist().index(1)
    batch.fail(bad, _refusal())
    double(batch)
    assert [raw_y(calls[number].result()) for number in (0, 2)] == [[[0, 2]], [[4, 2]]]
    assert calls[1].exception().code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_typed_request_between_two_of_tensors(served: Served, queue: Queue) -> None:
    for number in (1, 2):
        call = served.infer(raw_infer([[number, 0]]))
        double(taken(queue))
        assert raw_y(call.result()) == [[2 * number, 0]]
        typed = served.send(embed("a"))
        answer(taken(queue))
        assert typed.result() == embed("a")


def test_a_request_in_parts_is_put_together_again(served: Served, queue: Queue) -> None:
    rows = [[number, number] for number in range(20)]
    call = served.infer(raw_infer(rows))
    for _ in range(3):
        double(taken(queue))
        gc.collect()
    assert raw_y(call.result()) == [[2 * number, 2 * number] for number in range(20)]


@pytest.mark.parametrize("datatype", sorted(set(DTYPES) - {"BYTES"}))
def test_every_number_goes_through_the_workers_memory(served: Served, datatype: str) -> None:
    signature = Signature((TensorSignature("x", datatype, (-1, 3)),), (TensorSignature("y", datatype, (-1, 3)),))
    queue = served.open(spec(signature=signature)).for_worker()
    array = np.array([[0, 1, 1], [1, 0, 1]], DTYPES[datatype])
    request = ModelInferRequest(model_name="m", inputs=[tensor("x", datatype, (2, 3))])
    request.raw_input_contents.append(array.tobytes())
    for _ in range(2):
        call = served.infer(request)
        batch = taken(queue)
        inputs = batch.tensors()
        assert inputs["x"].dtype == array.dtype
        batch.reply_tensors(_copied(inputs))
        assert ModelInferResponse.FromString(call.result()).raw_output_contents[0] == array.tobytes()
        del batch, inputs


@pytest.mark.parametrize(("value", "finite"), [(1e30, True), (np.nan, False), (-np.inf, False)])
def test_whether_all_is_finite_is_asked_of_the_batchs_own_rows(
    served: Served, queue: Queue, is_native: bool, value: float, finite: bool
) -> None:
    warm(served, queue)
    told = []
    for rows in ([[0, 0]], [[0, 0], [0, value]], [[0, 0]]):
        call = served.infer(raw_infer(rows))
        batch = taken(queue)
        inputs = batch.tensors()
        told.append(inputs.are_finite if isinstance(inputs, BufferedRows) else None)
        double(batch)
        call.result()
        del batch, inputs  # the next batch has their memory
    assert told == ([True, finite, True] if is_native else [None] * 3)


def test_a_batch_is_settled_once_all_is_answered(served: Served, queue: Queue) -> None:
    calls = [served.infer(raw_infer([[number, 1]])) for number in range(2)]
    served.until_waiting(rows=2)
    batch = taken(queue)
    batch.on_abandoned(lambda: None)
    batch.fail(0, _refusal())
    assert not batch.settled
    double(batch)
    assert batch.settled
    assert sum(call.exception() is None for call in calls) == 1


def test_a_batch_that_its_callers_have_left_is_never_settled(served: Served, queue: Queue) -> None:
    batches, calls = [], []
    for _ in range(2):
        calls.append(served.infer(raw_infer([[1, 1]])))
        batches.append(taken(queue))
    watched, unwatched = batches
    gone, gone_before = threading.Event(), threading.Event()
    watched.on_abandoned(gone.set)
    for call in reversed(calls):
        call.cancel()
    assert gone.wait(timeout=10)
    unwatched.on_abandoned(gone_before.set)
    assert gone_before.wait(timeout=10)
    for batch in batches:
        double(batch)
        batch.close()
        assert not batch.settled


def test_a_workers_memory_goes_with_it_and_without_a_search_for_cycles(served: Served, queue: Queue) -> None:
    gc.disable()
    try:
        for _ in range(2):
            call = served.infer(raw_infer([[1, 1]]))
            batch = taken(queue)
            inputs = batch.tensors()
            double(batch)
            call.result()
        x = weakref.ref(inputs["x"])
        del batch, inputs, queue.queue  # type: ignore[attr-defined]  # of a PatientQueue
        assert x() is None
    finally:
        gc.enable()


class Doubling:
    """Answers y = 2 x in place, but for rows that begin with `left_alone`."""

    def __init__(self, left_alone: float) -> None:
        self.left_alone = left_alone
        self.batches: list[tuple[int, int]] = []
        self.settled: list[bool] = []

    def answer(self, batch: BatchInPlace, rows: BufferedRows, request_count: int, longest_wait_us: int) -> bool:
        assert longest_wait_us >= 0
        if rows["x"][0, 0] == self.left_alone:
            return False
        self.batches.append((rows.row_count, request_count))
        batch.on_abandoned(lambda: None)
        np.multiply(rows["x"], 2, out=rows.outputs["y"])
        self.settled.append(batch.reply_buffers())
        return True


def test_a_worker_is_handed_what_is_not_answered_in_place(served: Served, is_native: bool) -> None:
    in_place = Doubling(left_alone=7)
    queue = served.open(spec(signature=OF_TWO)).for_worker(in_place)
    warm(served, queue)
    for left in ([7, 7], [np.inf, 0]):
        with ThreadPoolExecutor() as worker:
            handed_out = worker.submit(taken, queue)
            for number in (1, 2) if is_native else ():
                assert raw_y(served.infer(raw_infer([[number, 0]] * number)).result()) == [[2 * number, 0]] * number
            assert not handed_out.done()
            call = served.infer(raw_infer([left]))
            double(handed_out.result())
            assert raw_y(call.result()) == [[2 * number for number in left]]
    assert in_place.batches == ([(1, 1), (2, 1)] * 2 if is_native else [])
    assert all(in_place.settled)


def _copied(inputs: dict[str, Array]) -> dict[str, Array]:
    if not isinstance(inputs, BufferedRows):
        return {"y": inputs["x"]}
    inputs.outputs["y"][:] = inputs["x"]
    return inputs.outputs


def _refusal() -> ServingError:
    return invalid_input("inputs: this one is wrong")
