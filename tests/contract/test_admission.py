"""Who is let in: capacity, deadlines."""

from collections.abc import Mapping

import grpc

from services.runtime.errors import invalid_input
from services.runtime.fronts import PORTABLE
from tests.contract.harness import EMBED, Served, answer, embed, raw_infer, reason_of, refused, spec
from tests.raw_http2 import RawConnection, framed

# How long a batch takes, and what is too short for one and long enough for an answer.
BATCH_S, TOO_SHORT_S = 2.5, 2.0


def test_a_full_queue_refuses_and_says_when_to_come_back(served: Served) -> None:
    queue = served.open(spec(capacity_rows=4))
    calls = [served.send(embed("one", "two")) for _ in range(2)]
    served.until_waiting(rows=4)
    error = refused(served.send(embed("late")))
    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL")
    assert error.message == "model 'm': 4 of 4 rows wait, 1 do not fit"
    assert error.quota == "QUEUE_FULL"
    assert error.retry_after_s is not None
    assert 0 < error.retry_after_s < 10
    answer(queue.take())
    assert all(call.result() for call in calls)


def test_a_refused_request_is_counted_by_its_reason(served: Served) -> None:
    queue = served.open(spec(capacity_rows=1))
    waiting = served.send(embed("waits"))
    served.until_waiting(rows=1)
    for _ in range(3):
        refused(served.send(embed("late")))
    assert served.front.stats().refusals == {"QUEUE_FULL": 3}
    answer(queue.take())
    assert waiting.result()


def test_a_refused_request_is_never_taken(served: Served) -> None:
    queue = served.open(spec(capacity_rows=1))
    waiting = served.send(embed("waits"))
    served.until_waiting(rows=1)
    refused(served.send(embed("late")))
    queue.close()
    assert list(answer(queue.take()).messages) == [embed("waits")]
    assert queue.take() is None
    assert waiting.result()


def test_what_runs_takes_no_room_in_the_queue(served: Served) -> None:
    queue = served.open(spec(capacity_rows=1))
    first = served.send(embed("first"))
    running = queue.take()
    second = served.send(embed("second"))
    served.until_waiting(rows=1)
    answer(running)
    answer(queue.take())
    assert (first.result(), second.result()) == (embed("first"), embed("second"))


def test_a_request_of_more_rows_than_the_policy_allows_is_wrong(served: Served) -> None:
    served.open(spec(max_request_rows=2))
    error = refused(served.send(embed("one", "two", "three")))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "TOO_MANY_ROWS")
    assert error.message == "texts: at most 2 rows a request, got 3"


def test_tensors_of_more_rows_than_the_policy_allows_are_wrong(served: Served) -> None:
    served.open(spec(max_request_rows=2))
    error = refused(served.infer(raw_infer([[1.0]] * 3)))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "TOO_MANY_ROWS")
    assert error.message == "inputs: at most 2 rows a request, got 3"


def test_a_request_larger_than_the_queue_is_let_in_alone(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=9, capacity_rows=2))
    call = served.send(embed(*["text"] * 9))
    answer(queue.take())
    assert call.result()


def test_a_request_whose_deadline_has_passed_is_told_and_never_runs(served: Served, front_name: str) -> None:
    queue = served.open()
    with RawConnection(served.front.address) as raw:
        late = asked(raw, "late", "0m")
        raw.await_end(late)
        check_is_late(raw.answers[late], front_name, "the deadline had passed when the request arrived")
    in_time = served.send(embed("in time"))
    assert list(answer(queue.take()).messages) == [embed("in time")]
    assert in_time.result()


def test_a_request_that_expires_while_it_waits_is_told_and_never_runs(served: Served, front_name: str) -> None:
    queue = served.open()
    with RawConnection(served.front.address) as raw:
        late = asked(raw, "late", "500m")
        served.until_waiting(rows=1)
        served.send(embed("later"), timeout_s=0.6).exception()  # so much time has passed
        in_time = served.send(embed("in time"))
        assert list(answer(queue.take()).messages) == [embed("in time")]
        raw.await_end(late)
        text = "the deadline passed while the request waited: the model did not run"
        check_is_late(raw.answers[late], front_name, text)
    assert in_time.result()


def asked(raw: RawConnection, text: str, patience: str) -> int:
    """A call with a deadline that its caller does not watch for."""
    call = raw.begin(EMBED.method, [("grpc-timeout", patience)])
    raw.send_all(call, framed(embed(text)))
    return call


def check_is_late(answered: Mapping[str, str], front_name: str, text: str) -> None:
    assert answered["grpc-status"] == str(grpc.StatusCode.DEADLINE_EXCEEDED.value[0])
    # In the portable front it is gRPC's own core that says so, before any of our code: there are no details then.
    if front_name != PORTABLE:
        assert (answered["grpc-message"], reason_of(answered)) == (text, "DEADLINE_EXCEEDED")


def test_a_request_that_cannot_meet_its_deadline_is_refused_on_arrival(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=1))
    slow = served.send(embed("slow"))
    batch = queue.take()
    served.let_pass(BATCH_S)
    answer(batch)
    slow.result()
    running = served.send(embed("running"))
    batch = queue.take()
    error = refused(served.send(embed("hopeless"), timeout_s=TOO_SHORT_S))
    assert (error.code, error.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
    assert error.message.endswith("ms are left")
    assert error.retry_after_s
    assert 0.1 < error.retry_after_s < 10
    patient = served.send(embed("patient"), timeout_s=30)
    served.until_waiting(rows=1)
    answer(batch)
    assert list(answer(queue.take()).messages) == [embed("patient")]
    assert running.result()
    assert patient.result()


def test_what_fails_at_once_does_not_hide_how_long_a_batch_takes(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=1))
    slow = served.send(embed("slow"))
    batch = queue.take()
    served.let_pass(BATCH_S)
    answer(batch)
    slow.result()
    for _ in range(20):
        wrong = served.send(embed("wrong"))
        batch = queue.take()
        assert batch is not None
        batch.fail(0, invalid_input("wrong"))
        assert refused(wrong).code is grpc.StatusCode.INVALID_ARGUMENT
    running = served.send(embed("running"))
    batch = queue.take()
    assert refused(served.send(embed("hopeless"), timeout_s=TOO_SHORT_S)).message.endswith("ms are left")
    answer(batch)
    assert running.result()


def test_with_nothing_ahead_a_request_is_let_in_whatever_the_last_batch_took(served: Served) -> None:
    queue = served.open()
    slow = served.send(embed("slow"))
    batch = queue.take()
    served.let_pass(BATCH_S)
    answer(batch)
    slow.result()
    quick = served.send(embed("quick"), timeout_s=TOO_SHORT_S)
    answer(queue.take())
    assert quick.result() == embed("quick")
