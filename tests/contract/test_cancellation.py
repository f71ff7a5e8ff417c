"""Callers who go before their answer comes."""

import threading

import grpc

from services.runtime.errors import invalid_input
from tests.contract.harness import EMBED, Served, answer, answer_infer, embed, raw_infer, raw_y, spec
from tests.raw_http2 import RawConnection, framed


def test_a_cancelled_request_never_runs(served: Served) -> None:
    queue = served.open()
    cancelled, kept = served.send(embed("cancelled")), served.send(embed("kept"))
    served.until_waiting(rows=2)
    cancelled.cancel()
    served.until_waiting(rows=1)
    assert list(answer(queue.take()).messages) == [embed("kept")]
    assert kept.result() == embed("kept")


def test_a_cancelled_request_gives_its_room_back(served: Served) -> None:
    queue = served.open(spec(capacity_rows=1))
    cancelled = served.send(embed("cancelled"))
    served.until_waiting(rows=1)
    cancelled.cancel()
    served.until_waiting(rows=0)
    call = served.send(embed("next"))
    answer(queue.take())
    assert call.result() == embed("next")


def test_a_batch_is_abandoned_when_its_last_caller_has_gone(served: Served) -> None:
    queue = served.open()
    calls = [served.send(embed("a")), served.send(embed("b"))]
    served.until_waiting(rows=2)
    batch = queue.take()
    assert batch is not None
    abandoned = threading.Semaphore(0)
    batch.on_abandoned(abandoned.release)
    for call in calls:
        call.cancel()
    assert abandoned.acquire(timeout=10)
    batch.close()
    assert not abandoned.acquire(blocking=False), "called back twice"


def test_a_batch_whose_callers_have_gone_before_anyone_asked_is_abandoned_at_once(served: Served) -> None:
    queue = served.open()
    call = served.send(embed("a"))
    batch = queue.take()
    assert batch is not None
    gone = threading.Event()
    batch.on_abandoned(gone.set)
    call.cancel()
    assert gone.wait(timeout=10)
    again = threading.Event()
    batch.on_abandoned(again.set)
    assert again.is_set()
    batch.close()


def test_a_batch_with_one_caller_left_is_not_abandoned(served: Served) -> None:
    queue = served.open()
    leaver, stayer = served.infer(raw_infer([[1]])), served.infer(raw_infer([[2]]))
    served.until_waiting(rows=2)
    batch = queue.take()
    assert batch is not None
    abandoned = threading.Event()
    batch.on_abandoned(abandoned.set)
    leaver.cancel()
    assert leaver.cancelled()
    served.give_turns(100)
    answer_infer(batch)
    assert raw_y(stayer.result()) == [[4.0]]
    assert not abandoned.is_set()


def test_callers_that_were_failed_already_do_not_keep_a_batch_running(served: Served) -> None:
    queue = served.open()
    bad, good = served.send(embed("bad")), served.send(embed("good"))
    served.until_waiting(rows=2)
    batch = queue.take()
    assert batch is not None
    abandoned = threading.Event()
    batch.on_abandoned(abandoned.set)
    batch.fail(list(batch.messages).index(embed("bad")), invalid_input("texts: bad"))
    good.cancel()
    assert abandoned.wait(timeout=10)
    batch.close()
    assert bad.exception().code() is grpc.StatusCode.INVALID_ARGUMENT


def test_an_answered_batch_is_not_abandoned_by_callers_who_go_before_they_have_taken_it(served: Served) -> None:
    queue = served.open()
    with RawConnection(served.front.address) as raw:
        call = raw.begin(EMBED.method)
        raw.send_all(call, framed(embed("a")))
        batch = queue.take()
        assert batch is not None
        abandoned = threading.Event()
        batch.on_abandoned(abandoned.set)
        answer(batch)
        raw.await_answer(call)
        raw.reset(call)
        served.give_turns(100)
    assert not abandoned.is_set()


def test_a_caller_whose_deadline_passes_while_its_batch_runs_abandons_it(served: Served) -> None:
    queue = served.open()
    call = served.send(embed("a"), timeout_s=2)
    batch = queue.take()
    assert batch is not None
    abandoned = threading.Event()
    batch.on_abandoned(abandoned.set)
    assert call.exception().code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert abandoned.wait(timeout=10)
    batch.close()


def test_a_lost_connection_withdraws_its_requests(served: Served) -> None:
    queue = served.open()
    with grpc.insecure_channel(served.front.address) as other:
        lost = other.unary_unary(EMBED.method).future(embed("lost"))
        served.until_waiting(rows=1)
    assert lost.done()
    served.until_waiting(rows=0)
    call = served.send(embed("kept"))
    assert list(answer(queue.take()).messages) == [embed("kept")]
    assert call.result()
