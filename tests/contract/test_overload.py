"""Three times what fits, for as long as it takes to see it: refusals are quick, what was let in is answered."""

import statistics
import time

import grpc

from tests.contract.harness import Served, answer, embed, refused, spec

CAPACITY = 32


def test_what_is_over_the_capacity_is_refused_and_all_else_is_answered(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=8, capacity_rows=CAPACITY))
    for _ in range(3):  # each time as if nothing had been
        calls = [served.send(embed(f"text {number}")) for number in range(3 * CAPACITY)]
        served.until(lambda calls=calls: sum(call.done() for call in calls) == 2 * CAPACITY)
        errors = [refused(call) for call in calls if call.done()]
        assert {(error.code, error.reason) for error in errors} == {(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL")}
        assert all(error.retry_after_s for error in errors)
        admitted = [call for call in calls if not call.done()]
        assert sum(len(answer(queue.take()).messages) for _ in range(4)) == CAPACITY
        assert all(call.result() for call in admitted)


def test_a_refusal_takes_less_than_ten_milliseconds(served: Served) -> None:
    queue = served.open(spec(capacity_rows=1))
    waiting = served.send(embed("waits"))
    served.until_waiting(rows=1)
    times_s = []
    for _ in range(50):
        began = time.perf_counter()
        refused(served.send(embed("late")))
        times_s.append(time.perf_counter() - began)
    assert statistics.median(times_s) < 0.010
    answer(queue.take())
    assert waiting.result()


def test_the_pause_that_is_asked_for_grows_with_what_is_ahead(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=1, capacity_rows=40))
    slow = served.send(embed("slow"))
    batch = queue.take()
    served.let_pass(0.2)  # so long a batch takes
    answer(batch)
    slow.result()
    calls = [served.send(embed("text")) for _ in range(40)]
    served.until_waiting(rows=40)
    pause_s = refused(served.send(embed("late"))).retry_after_s
    assert pause_s is not None
    assert pause_s >= 40 * 0.2 * 0.9
    for call in calls:
        call.cancel()
