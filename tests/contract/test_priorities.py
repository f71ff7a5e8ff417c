"""Priorities: who leaves first, who makes room, and how a request asks for one."""

import grpc
import pytest

from inference.grpc_service_pb2 import InferParameter, ModelInferRequest
from services.runtime.front import Queue
from tests.contract.harness import EMBED, Served, answer, answer_infer, embed, raw_infer, refused, spec


def levels(served: Served, **policy: int) -> Queue:
    return served.open(spec(**{"max_batch_rows": 1, "priority_levels": 3, "default_priority_level": 2} | policy))


def send(served: Served, text: str, priority: str | None = None) -> grpc.Future:
    metadata = [] if priority is None else [("argosy-priority", priority)]
    return served.send(embed(text), metadata=metadata)


def infer(priority: InferParameter) -> bytes:
    request = ModelInferRequest.FromString(raw_infer())
    request.parameters["priority"].CopyFrom(priority)
    return request.SerializeToString()


def test_the_highest_level_leaves_first_and_within_a_level_the_oldest(served: Served) -> None:
    queue = levels(served)
    calls = []
    for number, (text, priority) in enumerate([("low", "3"), ("own", None), ("old", "1"), ("new", "1"), ("none", "9")]):
        calls.append(send(served, text, priority))
        served.until_waiting(rows=number + 1)
    order = [answer(queue.take()).messages[0] for _ in calls]
    assert order == [embed(text) for text in ("old", "new", "own", "none", "low")]
    assert all(call.result() for call in calls)


def test_a_batch_with_room_takes_lower_levels_along(served: Served) -> None:
    queue = levels(served, max_batch_rows=8)
    calls = [send(served, "low", "3")]
    served.until_waiting(rows=1)
    calls.append(send(served, "high", "1"))
    served.until_waiting(rows=2)
    assert list(answer(queue.take()).messages) == [embed("high"), embed("low")]
    assert all(call.result() for call in calls)


@pytest.mark.parametrize("priority", [InferParameter(uint64_param=1), InferParameter(int64_param=1)])
def test_model_infer_asks_by_the_parameter_that_triton_has(served: Served, priority: InferParameter) -> None:
    queue = levels(served)
    typed = send(served, "typed", "2")
    served.until_waiting(rows=1)
    tensors = served.infer(infer(priority))
    served.until_waiting(rows=2)
    first = queue.take()
    assert first is not None
    assert first.method != EMBED.method
    answer_infer(first)
    answer(queue.take())
    assert (bool(typed.result()), bool(tensors.result())) == (True, True)


@pytest.mark.parametrize(
    "priority", [InferParameter(string_param="1"), InferParameter(int64_param=-1), InferParameter(bool_param=True)]
)
def test_a_parameter_that_is_no_priority_is_refused(served: Served, priority: InferParameter) -> None:
    levels(served)
    error = refused(served.infer(infer(priority)))
    assert (error.code, error.field) == (grpc.StatusCode.INVALID_ARGUMENT, "parameters.priority")
    assert error.message.startswith("parameters.priority: a whole number is needed, 1 for the first level")


@pytest.mark.parametrize("priority", ["high", "-1", "1.5", "+5", "", "1 2", str(1 << 64)])
def test_a_header_that_is_no_priority_is_refused(served: Served, priority: str) -> None:
    levels(served)
    error = refused(send(served, "text", priority))
    assert (error.code, error.field) == (grpc.StatusCode.INVALID_ARGUMENT, "argosy-priority")
    assert error.message == f"the header argosy-priority: a whole number is needed, got '{priority}'"


def test_a_header_of_thousands_of_digits_is_no_priority_and_is_told_short(served: Served) -> None:
    levels(served)
    error = refused(send(served, "text", "1" * 5000))
    assert (error.code, error.field) == (grpc.StatusCode.INVALID_ARGUMENT, "argosy-priority")
    assert error.message == f"the header argosy-priority: a whole number is needed, got '{'1' * 64}…'"


@pytest.mark.parametrize("priority", ["0", "9" * 19])
def test_a_number_that_is_no_level_asks_for_the_default_one(served: Served, priority: str) -> None:
    queue = levels(served)
    call = send(served, "text", priority)
    answer(queue.take())
    assert call.result() == embed("text")


def test_a_full_queue_makes_room_for_a_higher_level_by_the_newest_of_the_lowest(served: Served) -> None:
    queue = levels(served, capacity_rows=2)
    calls = []
    for number, text in enumerate(("old", "new")):
        calls.append(send(served, text, "3"))
        served.until_waiting(rows=number + 1)
    calls.append(send(served, "high", "1"))
    error = refused(calls[1])
    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL")
    assert error.message == "model 'm': the request made room for one of a higher priority"
    assert error.retry_after_s
    assert [answer(queue.take()).messages[0] for _ in range(2)] == [embed("high"), embed("old")]
    assert (calls[0].result(), calls[2].result()) == (embed("old"), embed("high"))


def test_an_equal_level_makes_no_room(served: Served) -> None:
    queue = levels(served, capacity_rows=1)
    waiting = send(served, "waits", "1")
    served.until_waiting(rows=1)
    assert refused(send(served, "late", "1")).reason == "QUEUE_FULL"
    answer(queue.take())
    assert waiting.result()


def test_without_levels_nobody_goes_first(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=1))
    calls = []
    for number, priority in enumerate((None, "1", "2")):
        calls.append(send(served, f"text {number}", priority))
        served.until_waiting(rows=number + 1)
    assert [answer(queue.take()).messages[0] for _ in calls] == [embed(f"text {number}") for number in range(3)]
    assert all(call.result() for call in calls)
