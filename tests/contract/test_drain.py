"""The end: what was accepted is finished, nothing new is taken, and nothing that never ends holds it up."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckResponse

from tests.contract.conftest import MakeFront
from tests.contract.harness import EMBED, INFER, Served, answer, answer_infer, embed, raw_infer, spec
from tests.contract.test_stream import Stream, working
from tests.raw_http2 import RawConnection, framed

LONG_S = 30.0


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def next_status(watch: grpc.Call) -> int:
    return HealthCheckResponse.FromString(next(watch)).status


def refused_by_a_draining_front(served: Served, method: str = INFER) -> grpc.RpcError:
    with grpc.insecure_channel(served.front.address) as fresh:
        return fresh.unary_unary(method).future(raw_infer(), timeout=LONG_S).exception()


def test_what_was_accepted_is_finished(served: Served, thread: ThreadPoolExecutor) -> None:
    queue = served.open()
    calls = [served.send(embed("runs"))]
    running = queue.take()
    calls.append(served.send(embed("waits")))
    served.until_waiting(rows=1)
    watch = served.watch_health()
    assert next_status(watch) == HealthCheckResponse.NOT_SERVING
    draining = thread.submit(served.front.drain, LONG_S, 0.0)
    assert list(watch) == []  # the watch has ended: requests are taken no more
    assert not draining.done()
    answer(running)
    answer(queue.take())
    assert [call.result() for call in calls] == [embed("runs"), embed("waits")]
    draining.result(timeout=10)


def test_an_idle_front_drains_at_once(served: Served) -> None:
    served.health()
    began = time.monotonic()
    served.front.drain(grace_s=LONG_S, notice_s=0)
    assert time.monotonic() - began < 2


def test_a_connection_that_never_says_anything_does_not_hold_it_up(served: Served) -> None:
    host, _, port = served.front.address.rpartition(":")
    with socket.create_connection((host, int(port))):
        served.health()  # by a connection that was taken after the silent one
        began = time.monotonic()
        served.front.drain(grace_s=0.2, notice_s=0)
        assert time.monotonic() - began < 5


def test_an_open_health_watch_does_not_hold_it_up_and_is_told(served: Served) -> None:
    served.front.set_serving("", serving=True)
    watch = served.watch_health()
    assert next_status(watch) == HealthCheckResponse.SERVING
    began = time.monotonic()
    served.front.drain(grace_s=LONG_S, notice_s=0)
    assert time.monotonic() - began < 2
    assert [HealthCheckResponse.FromString(message).status for message in watch] == [HealthCheckResponse.NOT_SERVING]


def test_requests_are_answered_while_the_notice_lasts(served: Served, thread: ThreadPoolExecutor) -> None:
    queue = served.open()
    served.front.set_serving("", serving=True)
    watch = served.watch_health()
    assert next_status(watch) == HealthCheckResponse.SERVING
    draining = thread.submit(served.front.drain, LONG_S, 1.0)
    assert next_status(watch) == HealthCheckResponse.NOT_SERVING
    call = served.send(embed("late"))
    answer(queue.take())
    assert call.result() == embed("late")
    draining.result(timeout=10)


def test_health_that_is_set_while_draining_stays_not_serving(served: Served, thread: ThreadPoolExecutor) -> None:
    served.front.set_serving("", serving=True)
    watch = served.watch_health()
    assert next_status(watch) == HealthCheckResponse.SERVING
    draining = thread.submit(served.front.drain, LONG_S, 0.5)
    assert next_status(watch) == HealthCheckResponse.NOT_SERVING
    served.front.set_serving("", serving=True)
    assert served.health() == HealthCheckResponse.NOT_SERVING
    draining.result(timeout=10)


def test_new_requests_are_unavailable(served: Served, thread: ThreadPoolExecutor) -> None:
    queue = served.open()
    call = served.send(embed("runs"))
    running = queue.take()
    watch = served.watch_health()
    next_status(watch)
    draining = thread.submit(served.front.drain, LONG_S, 0.0)
    assert list(watch) == []
    assert refused_by_a_draining_front(served).code() is grpc.StatusCode.UNAVAILABLE
    answer(running)
    assert call.result()
    draining.result(timeout=10)
    assert refused_by_a_draining_front(served).code() is grpc.StatusCode.UNAVAILABLE


def test_a_connection_is_told_to_go_and_only_what_came_before_is_answered(
    served: Served, thread: ThreadPoolExecutor
) -> None:
    queue = served.open()
    with RawConnection(served.front.address) as raw:
        accepted = begun(raw, "accepted")
        batch = queue.take()
        draining = thread.submit(served.front.drain, LONG_S, 0.0)
        assert raw.await_goaway() == accepted
        late = begun(raw, "late")
        answer(batch)
        raw.await_end(accepted)
        assert raw.answers[accepted]["grpc-status"] == "0"
        draining.result(timeout=10)
        with pytest.raises(ConnectionError):
            raw.await_end(late)
    assert queue.take() is None


def begun(raw: RawConnection, text: str) -> int:
    call = raw.begin(EMBED.method)
    raw.send_all(call, framed(embed(text)))
    return call


def test_what_is_not_finished_within_the_grace_is_given_up(served: Served) -> None:
    queue = served.open()
    call = served.send(embed("endless"))
    batch = queue.take()
    began = time.monotonic()
    served.front.drain(grace_s=0.2, notice_s=0)
    assert 0.2 <= time.monotonic() - began < 3
    assert call.exception().code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    answer(batch)


def test_the_workers_are_told_that_nothing_more_comes(served: Served, thread: ThreadPoolExecutor) -> None:
    queue = served.open()
    taken: Future[object] = thread.submit(queue.take)
    served.front.drain(grace_s=LONG_S, notice_s=0)
    assert taken.result(timeout=10) is None


def test_an_open_stream_is_answered_what_it_sent_and_ends_unavailable(
    served: Served, thread: ThreadPoolExecutor
) -> None:
    queue = served.open()
    stream = Stream(served)
    stream.send(raw_infer(request_id="a"))
    batch = queue.take()
    draining = thread.submit(served.front.drain, LONG_S, 0.0)
    answer_infer(batch)
    assert stream.next().infer_response.id == "a"
    with pytest.raises(grpc.RpcError):
        stream.next()
    assert stream.call.code() is grpc.StatusCode.UNAVAILABLE
    draining.result(timeout=10)
    stream.end()


def test_of_a_stream_whose_caller_has_sent_far_ahead_only_what_was_read_is_answered(
    served: Served, thread: ThreadPoolExecutor
) -> None:
    queue = served.open()
    stream = Stream(served)
    sent = 5000
    for _ in range(sent):
        stream.send(raw_infer())
    served.until(lambda: served.stats().waiting_rows > 50)
    served.give_turns()
    watch = served.watch_health()
    next_status(watch)
    draining = thread.submit(served.front.drain, LONG_S, 0.0)
    list(watch)
    with working(queue) as rows, pytest.raises(grpc.RpcError):
        stream.rest()
    assert stream.call.code() is grpc.StatusCode.UNAVAILABLE
    assert 0 < sum(rows) < sent / 10
    draining.result(timeout=10)
    stream.end()


def test_draining_twice_is_harmless(served: Served, thread: ThreadPoolExecutor) -> None:
    served.open()
    both = [thread.submit(served.front.drain, LONG_S, 0.0) for _ in range(2)]
    for draining in both:
        draining.result(timeout=10)
    served.front.drain(grace_s=LONG_S, notice_s=0)


def test_after_a_drain_the_rest_of_the_interface_is_harmless(served: Served) -> None:
    queue = served.open()
    changed = served.front.answer_watch("/argosy.v1.ModelService/WatchModels", bytes)
    served.front.drain(grace_s=0, notice_s=0)
    served.front.set_serving("", serving=False)
    served.front.close_queue("m", "1")
    served.front.set_default_version("m", None)
    changed()
    assert served.front.stats().queues == ()
    assert queue.take() is None


def test_a_drained_address_can_be_taken_again(make_front: MakeFront) -> None:
    first = make_front()
    first.drain(grace_s=0, notice_s=0)
    assert make_front(first.address).address == first.address


def test_two_fronts_cannot_share_a_port(make_front: MakeFront) -> None:
    first = make_front()
    with pytest.raises(OSError, match=first.address):
        make_front(first.address)


def test_a_batch_may_wait_for_company_while_the_front_drains(served: Served, thread: ThreadPoolExecutor) -> None:
    queue = served.open(spec(max_wait_us=300_000))
    call = served.send(embed("alone"))
    served.until_waiting(rows=1)
    draining = thread.submit(served.front.drain, LONG_S, 0.0)
    answer(queue.take())
    assert call.result() == embed("alone")
    draining.result(timeout=10)
