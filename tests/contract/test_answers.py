"""What comes back: answers, errors of one request of a batch, what a worker left, the trailers and the counts."""

import gc
import re
import time

import grpc
import numpy as np
import pytest

from services.runtime.errors import Cause, ServingError, internal, invalid_input
from tests.contract.harness import (
    Served,
    answer,
    answer_infer,
    embed,
    raw_infer,
    raw_y,
    refused,
    spec,
    trailers_of,
)


def test_a_request_that_fails_does_not_touch_the_rest_of_its_batch(served: Served) -> None:
    queue = served.open()
    calls = {text: served.send(embed(text)) for text in ("good", "bad", "fine")}
    served.until_waiting(rows=3)
    batch = queue.take()
    assert batch is not None
    for index, message in enumerate(batch.messages):
        if message == embed("bad"):
            batch.fail(index, invalid_input("texts[0]: bad", field="texts[0]"))
        else:
            batch.reply(index, message)
    error = refused(calls["bad"])
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT")
    assert (error.message, error.field) == ("texts[0]: bad", "texts[0]")
    assert (calls["good"].result(), calls["fine"].result()) == (embed("good"), embed("fine"))


def test_the_first_answer_to_a_request_counts(served: Served) -> None:
    queue = served.open()
    call = served.send(embed("text"))
    batch = queue.take()
    assert batch is not None
    batch.reply(0, b"first")
    batch.reply(0, b"second")
    batch.fail(0, invalid_input("third"))
    assert call.result() == b"first"


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (Cause.INVALID_INPUT, grpc.StatusCode.INVALID_ARGUMENT),
        (Cause.NOT_FOUND, grpc.StatusCode.NOT_FOUND),
        (Cause.EXHAUSTED, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (Cause.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE),
        (Cause.DEADLINE, grpc.StatusCode.DEADLINE_EXCEEDED),
        (Cause.UNAUTHENTICATED, grpc.StatusCode.UNAUTHENTICATED),
        (Cause.FORBIDDEN, grpc.StatusCode.PERMISSION_DENIED),
        (Cause.REFUSED_LOAD, grpc.StatusCode.FAILED_PRECONDITION),
        (Cause.INTERNAL, grpc.StatusCode.INTERNAL),
    ],
)
def test_every_cause_has_its_status(served: Served, cause: Cause, code: grpc.StatusCode) -> None:
    queue = served.open()
    call = served.send(embed("text"))
    batch = queue.take()
    assert batch is not None
    batch.fail(0, ServingError(cause, "SOME_REASON", "what was wrong", retry_after_s=1.5))
    error = refused(call)
    assert (error.code, error.reason, error.message) == (code, "SOME_REASON", "what was wrong")
    assert error.retry_after_s == 1.5


def test_a_long_message_is_cut_at_512_bytes(served: Served) -> None:
    queue = served.open()
    call = served.send(embed("text"))
    batch = queue.take()
    assert batch is not None
    batch.fail(0, invalid_input("ä" * 5000, field="f" * 5000))
    error = refused(call)
    assert len(error.message.encode()) > 500
    assert error.message.endswith("…")


def test_a_batch_that_is_dropped_unanswered_answers_internal_with_an_id_that_the_log_has(
    served: Served, capfd: pytest.CaptureFixture[str]
) -> None:
    queue = served.open()
    call = served.send(embed("text"))
    queue.take()
    gc.collect()
    error = refused(call)
    assert (error.code, error.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    (error_id,) = re.findall(r"\b[0-9a-f]{12}\b", error.message)
    assert error.message == str(internal(error_id))
    assert error_id in "".join(capfd.readouterr())


def test_closing_a_batch_answers_what_is_unanswered_and_nothing_else(served: Served) -> None:
    queue = served.open()
    calls = [served.send(embed("a")), served.send(embed("b"))]
    served.until_waiting(rows=2)
    batch = queue.take()
    assert batch is not None
    batch.reply(0, b"answered")
    batch.close()
    outcomes = [call.exception() for call in calls]
    assert sorted(outcome.code().name for outcome in outcomes if outcome) == ["INTERNAL"]


def test_after_a_failed_batch_the_next_one_works(served: Served) -> None:
    queue = served.open()
    lost = served.send(embed("lost"))
    batch = queue.take()
    assert batch is not None
    batch.close()
    assert refused(lost).code is grpc.StatusCode.INTERNAL
    call = served.send(embed("next"))
    answer(queue.take())
    assert call.result() == embed("next")


def test_outputs_that_are_no_answer_to_the_batch_are_refused_and_nothing_is_answered(served: Served) -> None:
    queue = served.open()
    call = served.infer(raw_infer([[1, 2], [3, 4]]))
    batch = queue.take()
    assert batch is not None
    with pytest.raises(ValueError, match="'y'"):
        batch.reply_tensors({"y": np.zeros((1, 2), np.float32)})
    with pytest.raises(ValueError, match="'y'"):
        batch.reply_tensors({})
    with pytest.raises(ValueError, match="complex64"):
        batch.reply_tensors({"y": np.zeros((2, 2), np.complex64)})
    answer_infer(batch)
    assert raw_y(call.result()) == [[2, 4], [6, 8]]


def test_trailers_tell_time_batch_version_and_device(served: Served) -> None:
    queue = served.open(spec(version="7"))
    calls = [served.send(embed("one")), served.send(embed("two", "three"))]
    served.until_waiting(rows=3)
    answer(queue.take())
    for call in calls:
        call.result()
        trailers = trailers_of(call)
        assert int(trailers["argosy-queue-us"]) >= 0
        assert int(trailers["argosy-compute-us"]) >= 0
        assert trailers["argosy-batch-rows"] == "3"
        assert trailers["argosy-model-version"] == "7"
        assert trailers["argosy-device"] == "cpu"


def test_trailers_tell_how_long_a_request_waited_and_how_long_its_batch_took(served: Served) -> None:
    queue = served.open()
    sent = time.monotonic()
    call = served.send(embed("text"))
    served.until_waiting(rows=1)
    waits = time.monotonic()
    served.give_turns(20)
    is_free = time.monotonic()
    batch = queue.take()
    runs = time.monotonic()
    served.give_turns(100)
    has_run = time.monotonic()
    answer(batch)
    call.result()
    ended = time.monotonic()
    queue_us, compute_us = (int(trailers_of(call)[name]) for name in ("argosy-queue-us", "argosy-compute-us"))
    assert int((is_free - waits) * 1e6) <= queue_us <= (runs - sent) * 1e6
    assert int((has_run - runs) * 1e6) <= compute_us <= (ended - is_free) * 1e6


def test_an_error_of_the_task_carries_the_trailers_too(served: Served) -> None:
    queue = served.open()
    call = served.send(embed("text"))
    batch = queue.take()
    assert batch is not None
    batch.fail(0, invalid_input("texts: bad"))
    refused(call)
    assert trailers_of(call)["argosy-batch-rows"] == "1"


def test_an_answer_over_the_message_limit_is_refused_not_sent(served: Served) -> None:
    queue = served.open()
    call = served.send(embed("text"))
    batch = queue.take()
    assert batch is not None
    batch.reply(0, bytes((1 << 20) + 1))
    error = refused(call)
    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "ANSWER_TOO_LARGE")


def test_counts_say_what_a_queue_has_done(served: Served) -> None:
    queue = served.open()
    calls = [served.send(embed("one")), served.send(embed("two", "three"))]
    served.until_waiting(rows=3)
    batch = queue.take()
    assert batch is not None
    assert served.stats().in_flight_requests == 2
    batch.reply(0, b"")
    batch.fail(1, invalid_input("bad"))
    for call in calls:
        call.exception()
    stats = served.stats()
    assert (stats.model, stats.version) == ("m", "1")
    assert (stats.waiting_rows, stats.in_flight_requests) == (0, 0)
    assert (stats.succeeded_requests, stats.failed_requests, stats.answered_rows) == (1, 1, 3)
    assert stats.batches_by_rows == {3: 1}
    assert sum(stats.queue_time.counts) == sum(stats.compute_time.counts) == 2
    assert len(stats.queue_time.counts) == len(stats.queue_time.bounds_us) + 1
    assert stats.last_request_unix_ms > 1_600_000_000_000


def test_a_batch_tells_how_long_its_oldest_request_waited(served: Served) -> None:
    queue = served.open()
    calls = [served.send(embed("one"))]
    served.until_waiting(rows=1)
    calls.append(served.send(embed("two")))
    served.until_waiting(rows=2)
    batch = answer(queue.take())
    waited_us = [int(trailers_of(call)["argosy-queue-us"]) for call in calls]
    assert batch.longest_wait_us == max(waited_us) > 0
