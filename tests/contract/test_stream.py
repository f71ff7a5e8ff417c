"""ModelStreamInfer: many requests and answers on one stream."""

import queue as queues
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import numpy as np
import pytest

from inference.grpc_service_pb2 import ModelInferRequest, ModelInferResponse, ModelStreamInferResponse
from services.runtime.errors import invalid_input
from services.runtime.front import Queue
from tests.contract.conftest import MAX_MESSAGE_BYTES
from tests.contract.harness import STREAM_INFER, Served, answer_infer, raw_infer, raw_y, spec, tensor


class Stream:
    """A stream that the test writes to when it says so."""

    def __init__(self, served: Served) -> None:
        self._requests: queues.SimpleQueue[bytes | None] = queues.SimpleQueue()
        self.call = served.channel.stream_stream(STREAM_INFER)(iter(self._requests.get, None), timeout=60)

    def send(self, message: bytes) -> None:
        self._requests.put(message)

    def end(self) -> None:
        self._requests.put(None)

    def next(self) -> ModelStreamInferResponse:
        return ModelStreamInferResponse.FromString(next(self.call))

    def rest(self) -> list[ModelStreamInferResponse]:
        return [ModelStreamInferResponse.FromString(message) for message in self.call]


@pytest.fixture
def stream(served: Served) -> Iterator[Stream]:
    opened = Stream(served)
    yield opened
    opened.end()
    opened.call.cancel()


@contextmanager
def working(queue: Queue) -> Iterator[list[int]]:
    """A worker of its own; the list has the rows of its batches."""
    taken: list[int] = []

    def work() -> None:
        while batch := queue.take():
            answer_infer(batch)
            taken.append(sum(batch.row_counts))

    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(work)
        yield taken
        queue.close()
        done.result(timeout=30)


def test_each_request_has_its_answer(served: Served, stream: Stream) -> None:
    queue = served.open()
    stream.send(raw_infer([[1]], request_id="a"))
    answer_infer(queue.take())
    response = stream.next()
    assert response.error_message == ""
    assert (response.infer_response.id, response.infer_response.model_name) == ("a", "m")
    assert response.infer_response.raw_output_contents[0] == np.float32(2).tobytes()


@pytest.mark.parametrize("asked", [True, False])
def test_every_answer_says_that_it_is_its_requests_last(served: Served, stream: Stream, asked: bool) -> None:
    queue = served.open()
    request = ModelInferRequest.FromString(raw_infer())
    request.parameters["triton_enable_empty_final_response"].bool_param = asked
    stream.send(request.SerializeToString())
    answer_infer(queue.take())
    assert stream.next().infer_response.parameters["triton_final_response"].bool_param
    stream.send(raw_infer(model="nonesuch"))
    assert stream.next().infer_response.parameters["triton_final_response"].bool_param
    stream.end()
    assert stream.rest() == []


def test_the_stream_ends_when_the_caller_has_ended_it_and_all_is_answered(served: Served, stream: Stream) -> None:
    queue = served.open()
    stream.send(raw_infer())
    stream.end()
    answer_infer(queue.take())
    assert len(stream.rest()) == 1
    assert stream.call.code() is grpc.StatusCode.OK


def test_requests_of_one_stream_run_as_one_batch(served: Served, stream: Stream) -> None:
    queue = served.open(spec(max_batch_rows=4, max_wait_us=60_000_000))
    for number in range(4):
        stream.send(raw_infer([[number]]))
    batch = answer_infer(queue.take())
    assert list(batch.row_counts) == [1, 1, 1, 1]


def test_answers_come_in_the_order_of_the_requests(served: Served, stream: Stream) -> None:
    queue = served.open(spec(max_batch_rows=1))
    for request_id in "abc":
        stream.send(raw_infer(request_id=request_id))
        served.until_waiting(rows="abc".index(request_id) + 1)
    stream.end()
    for batch in reversed([queue.take() for _ in range(3)]):
        answer_infer(batch)
    assert [response.infer_response.id for response in stream.rest()] == ["a", "b", "c"]


def test_an_error_is_an_answer_and_does_not_end_the_stream(served: Served, stream: Stream) -> None:
    queue = served.open()
    stream.send(raw_infer(request_id="bad", model="nonesuch"))
    response = stream.next()
    assert response.error_message == "no model 'nonesuch'"
    assert (response.infer_response.id, response.infer_response.model_name) == ("bad", "nonesuch")
    stream.send(raw_infer(request_id="good"))
    answer_infer(queue.take())
    assert stream.next().infer_response.id == "good"
    assert served.front.stats().refusals == {"UNKNOWN_MODEL": 1}


def test_an_error_of_the_worker_is_an_answer_too(served: Served, stream: Stream) -> None:
    queue = served.open()
    stream.send(raw_infer(request_id="a"))
    batch = queue.take()
    assert batch is not None
    batch.fail(0, invalid_input("input 'x': not today"))
    response = stream.next()
    assert (response.error_message, response.infer_response.id) == ("input 'x': not today", "a")


def test_an_answer_over_the_message_limit_is_an_error_and_does_not_end_the_stream(
    served: Served, stream: Stream
) -> None:
    queue = served.open()
    for rows, error in ((MAX_MESSAGE_BYTES, "an answer has at most"), (1, "")):
        stream.send(raw_infer())
        batch = queue.take()
        assert batch is not None
        batch.reply_tensors({"y": np.zeros((1, rows), np.uint8)})
        assert stream.next().error_message.startswith(error)


def test_the_message_limit_counts_what_the_stream_adds_to_an_answer(served: Served, stream: Stream) -> None:
    queue = served.open()
    stream.send(raw_infer())
    batch = queue.take()
    assert batch is not None
    head = ModelInferResponse(id="1", raw_output_contents=[b""]).ByteSize()
    answer = ModelInferResponse(id="1", raw_output_contents=[bytes(MAX_MESSAGE_BYTES - head - 3)])
    batch.reply(0, answer.SerializeToString())
    assert MAX_MESSAGE_BYTES - 10 < answer.ByteSize() <= MAX_MESSAGE_BYTES
    assert stream.next().error_message.startswith("an answer has at most")


def test_an_answer_that_is_no_message_is_internal_and_does_not_end_the_stream(served: Served, stream: Stream) -> None:
    queue = served.open()
    stream.send(raw_infer())
    batch = queue.take()
    assert batch is not None
    batch.reply(0, b"\xff")
    assert stream.next().error_message.startswith("internal error ")
    stream.send(raw_infer())
    answer_infer(queue.take())
    assert stream.next().error_message == ""


def test_corrupt_bytes_are_answered_and_do_not_end_the_stream(served: Served, stream: Stream) -> None:
    queue = served.open()
    for message, complaint in ((b"\x0a\xff", "inference.ModelInferRequest: "), (b"", "model: ")):
        stream.send(message)
        error = stream.next()
        assert error.error_message.startswith(complaint)
        assert error.infer_response.parameters["triton_final_response"].bool_param
    stream.send(raw_infer())
    answer_infer(queue.take())
    assert stream.next().error_message == ""


def test_cancelling_a_stream_withdraws_what_waits(served: Served, stream: Stream) -> None:
    served.open()
    for _ in range(3):
        stream.send(raw_infer())
    served.until_waiting(rows=3)
    stream.call.cancel()
    served.until_waiting(rows=0)


def test_a_cancelled_stream_abandons_the_batch_that_runs(served: Served, stream: Stream) -> None:
    queue = served.open()
    for _ in range(3):
        stream.send(raw_infer())
    served.until_waiting(rows=3)
    batch = queue.take()
    assert batch is not None
    abandoned = threading.Event()
    batch.on_abandoned(abandoned.set)
    stream.call.cancel()
    assert abandoned.wait(timeout=10)
    batch.close()


def test_a_cancelled_stream_leaves_the_others_of_its_batch_their_answers(served: Served, stream: Stream) -> None:
    queue = served.open()
    stream.send(raw_infer([[1]]))
    served.until_waiting(rows=1)
    stayer = served.infer(raw_infer([[2]]))
    served.until_waiting(rows=2)
    batch = queue.take()
    assert batch is not None
    abandoned = threading.Event()
    batch.on_abandoned(abandoned.set)
    stream.call.cancel()
    served.give_turns(100)
    answer_infer(batch)
    assert raw_y(stayer.result()) == [[4.0]]
    assert not abandoned.is_set()


def test_a_caller_who_does_not_read_is_read_no_further_and_loses_nothing(served: Served, stream: Stream) -> None:
    queue = served.open(spec(capacity_rows=1000))
    wide = [[0.0] * 16_000]  # 64 KB an answer: a connection's buffers hold few
    with working(queue) as taken:
        for number in range(400):
            stream.send(raw_infer(wide, request_id=str(number)))
        stream.end()
        served.until(lambda: sum(taken) > 5)
        for _ in range(200):
            served.health()
        assert sum(taken) < 200
        assert [response.infer_response.id for response in stream.rest()] == [str(number) for number in range(400)]


def test_two_streams_do_not_wait_for_each_other(served: Served, stream: Stream) -> None:
    queue = served.open(spec(max_batch_rows=1))
    other = Stream(served)
    stream.send(raw_infer(request_id="first"))
    slow = queue.take()
    other.send(raw_infer(request_id="second"))
    answer_infer(queue.take())
    assert other.next().infer_response.id == "second"
    answer_infer(slow)
    assert stream.next().infer_response.id == "first"
    other.end()


def test_requests_of_a_stream_are_queued_in_their_order_whatever_their_size(served: Served, stream: Stream) -> None:
    queue = served.open(spec(max_batch_rows=1))
    large = tensor("x", "FP32", [1, 200_000], fp32_contents=[0.0] * 200_000)  # takes long to read
    stream.send(ModelInferRequest(model_name="m", inputs=[large]).SerializeToString())
    stream.send(raw_infer([[0.0]]))
    served.until_waiting(rows=2)
    sizes = [answer_infer(queue.take()).tensors()["x"].size for _ in range(2)]
    assert sizes == [200_000, 1]
