"""A request of more rows than a batch: it runs in parts, its caller gets one answer, the others are hardly held up."""

import threading

import grpc
import numpy as np

from inference.grpc_service_pb2 import ModelInferRequest, ModelInferResponse
from services.runtime.errors import invalid_input
from services.runtime.front import Signature, TensorSignature
from tests.contract.conftest import MAX_MESSAGE_BYTES
from tests.contract.harness import (
    Served,
    answer,
    answer_infer,
    embed,
    raw_infer,
    raw_y,
    refused,
    spec,
    tensor,
    trailers_of,
)

TEXTS = ("a", "b", "c", "d", "e")


def test_each_part_has_its_own_rows_and_all_else_of_the_message(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=2))
    call = served.send(embed(*TEXTS, version="1"))
    parts = [answer(queue.take()) for _ in range(3)]
    assert [list(part.messages) for part in parts] == [
        [embed("a", "b", version="1")],
        [embed("c", "d", version="1")],
        [embed("e", version="1")],
    ]
    assert [list(part.row_counts) for part in parts] == [[2], [2], [1]]
    assert [list(part.first_rows) for part in parts] == [[0], [2], [4]]
    call.result()


def test_the_answers_to_the_parts_stand_in_their_order_whichever_comes_first(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=2, instances=3))
    call = served.send(embed(*TEXTS))
    parts = [queue.take() for _ in range(3)]
    for number in (2, 0, 1):
        parts[number].reply(0, b"<%d>" % number)
    assert call.result() == b"<0><1><2>"


def test_others_are_held_up_by_one_part_at_a_time_and_keep_their_order(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=2))
    calls = [served.send(embed(*TEXTS))]
    served.until_waiting(rows=5)
    for name in ("first", "second"):
        calls.append(served.send(embed(name, name)))
        served.until_waiting(rows=5 + 2 * (len(calls) - 1))
    order = [list(answer(queue.take()).messages) for _ in range(5)]
    assert order == [
        [embed("a", "b")],
        [embed("first", "first")],
        [embed("second", "second")],
        [embed("c", "d")],
        [embed("e")],
    ]
    assert all(call.result() for call in calls)


def test_the_last_part_shares_its_batch(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=2))
    large = served.send(embed("a", "b", "c"))
    served.until_waiting(rows=3)
    small = served.send(embed("small"))
    served.until_waiting(rows=4)
    answer(queue.take())
    assert list(answer(queue.take()).messages) == [embed("small"), embed("c")]
    assert (large.result(), small.result()) == (embed("a", "b") + embed("c"), embed("small"))


def test_a_large_request_takes_the_room_of_one_batch(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=2, capacity_rows=4))
    calls = [served.send(embed(*TEXTS))]
    served.until_waiting(rows=5)
    calls.append(served.send(embed("x", "y")))
    served.until_waiting(rows=7)
    error = refused(served.send(embed("late")))
    assert (error.reason, error.message) == ("QUEUE_FULL", "model 'm': 4 of 4 rows wait, 1 do not fit")
    for _ in range(4):
        answer(queue.take())
    assert all(call.result() for call in calls)


def test_raw_tensors_come_back_as_those_of_one_request(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=2, instances=3))
    rows = [[float(number), 1.0] for number in range(5)]
    call = served.infer(raw_infer(rows, request_id="large"))
    parts = [queue.take() for _ in range(3)]
    assert [part.tensors()["x"].tolist() for part in parts] == [rows[:2], rows[2:4], rows[4:]]
    for part in reversed(parts):
        answer_infer(part)
    response = ModelInferResponse.FromString(call.result())
    assert (response.id, response.model_name, response.model_version) == ("large", "m", "1")
    assert raw_y(call.result()) == [[2 * a, 2 * b] for a, b in rows]


def test_typed_tensors_and_strings_come_back_as_those_of_one_request(served: Served) -> None:
    strings = TensorSignature("s", "BYTES", (-1,))
    numbers = TensorSignature("n", "INT16", (-1, 2))
    signature = Signature((strings, numbers), (strings, numbers))
    queue = served.open(spec(max_batch_rows=2, signature=signature))
    request = ModelInferRequest(model_name="m")
    request.inputs.append(tensor("s", "BYTES", [3], bytes_contents=[b"one", b"", b"three"]))
    request.inputs.append(tensor("n", "INT16", [3, 2], int_contents=[1, -2, 3, -4, 5, -6]))
    call = served.infer(request)
    for _ in range(2):
        batch = queue.take()
        assert batch is not None
        batch.reply_tensors(batch.tensors())
    response = ModelInferResponse.FromString(call.result())
    assert [list(output.shape) for output in response.outputs] == [[3], [3, 2]]
    assert list(response.outputs[0].contents.bytes_contents) == [b"one", b"", b"three"]
    assert list(response.outputs[1].contents.int_contents) == [1, -2, 3, -4, 5, -6]


def test_parts_whose_answers_do_not_go_together_are_internal(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=2))
    call = served.infer(raw_infer([[1], [2], [3]]))
    for width in (1, 2):
        batch = queue.take()
        assert batch is not None
        batch.reply_tensors({"y": np.zeros((sum(batch.row_counts), width), np.float32)})
    assert refused(call).code is grpc.StatusCode.INTERNAL


def test_the_first_part_that_fails_answers_the_request_and_the_rest_never_runs(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=2))
    large = served.send(embed(*TEXTS))
    served.until_waiting(rows=5)
    batch = queue.take()
    assert batch is not None
    batch.fail(0, invalid_input("texts[1]: bad"))
    assert refused(large).message == "texts[1]: bad"
    served.until_waiting(rows=0)


def test_the_first_part_that_fails_tells_those_that_still_run(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=2, instances=2))
    call = served.send(embed("a", "b", "c", "d"))
    first, second = queue.take(), queue.take()
    assert first is not None
    assert second is not None
    abandoned = threading.Event()
    second.on_abandoned(abandoned.set)
    first.fail(0, invalid_input("texts: bad"))
    assert refused(call).code is grpc.StatusCode.INVALID_ARGUMENT
    assert abandoned.wait(timeout=10)
    second.close()


def test_what_is_left_of_a_request_goes_with_its_caller_and_the_part_that_runs_is_told(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=2))
    call = served.send(embed(*TEXTS))
    batch = queue.take()
    assert batch is not None
    abandoned: list[bool] = []
    batch.on_abandoned(lambda: abandoned.append(True))
    served.until_waiting(rows=3)
    call.cancel()
    served.until_waiting(rows=0)
    served.until(lambda: bool(abandoned))
    batch.close()


def test_a_request_in_parts_is_counted_once_and_told_of_as_one(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=2))
    call = served.send(embed(*TEXTS))
    for _ in range(3):
        answer(queue.take())
    call.result()
    stats = served.stats()
    assert (stats.succeeded_requests, stats.in_flight_requests, stats.answered_rows) == (1, 0, 5)
    assert stats.batches_by_rows == {2: 2, 1: 1}
    assert sum(stats.queue_time.counts) == sum(stats.compute_time.counts) == 1
    assert trailers_of(call)["argosy-batch-rows"] == "2"


def test_answers_to_parts_that_come_to_more_than_an_answer_may_end_the_request(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=1))
    call = served.send(embed(*TEXTS))
    for _ in range(3):
        batch = queue.take()
        batch.reply(0, bytes(MAX_MESSAGE_BYTES - 1))
    error = refused(call)
    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "ANSWER_TOO_LARGE")
    assert served.stats().waiting_rows == 0


def test_a_request_whose_parts_would_come_to_more_than_a_message_may_is_refused(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=1))
    beside = b"\x7a\x80\x80\x10" + bytes(1 << 18)  # a field that nobody knows
    error = refused(served.send(embed(*TEXTS) + beside))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "TOO_LARGE_FOR_PARTS")
    assert error.message.endswith("in each of 5 parts of 1 rows are over 1048576 bytes")
    assert refused(served.send(embed(*["x"] * 5000) + beside)).reason == "TOO_MANY_ROWS"
    call = served.send(embed(*TEXTS[:3]) + beside)
    for _ in range(3):
        answer(queue.take())
    assert call.result()
