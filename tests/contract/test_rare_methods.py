"""Methods outside the queues: answered on a thread of their own, or watched."""

import threading

import grpc
import pytest

from services.runtime.errors import unknown_model
from services.runtime.front import Limits
from tests.contract.conftest import MakeFront
from tests.contract.harness import Served, answer, embed, refusal_of, refused

LIST = "/argosy.v1.ModelService/ListModels"
SHOW = "/argosy.v1.ModelService/GetModel"
WATCH = "/argosy.v1.ModelService/WatchModels"


def watched(served: Served, message: bytes = b"") -> grpc.Call:
    return served.channel.unary_stream(WATCH)(message, timeout=60)


def test_a_rare_method_is_answered_in_bytes(served: Served) -> None:
    served.front.answer_unary(LIST, lambda message: message[::-1])
    assert served.send(b"abc", LIST).result() == b"cba"


def test_a_rare_method_that_is_set_again_answers_anew(served: Served) -> None:
    served.front.answer_unary(LIST, lambda _: b"old")
    served.front.answer_unary(LIST, lambda _: b"new")
    assert served.send(b"", LIST).result() == b"new"


def test_a_rare_method_that_blocks_holds_up_nothing_else(served: Served) -> None:
    release = threading.Event()
    served.front.answer_unary(LIST, lambda _: b"released" if release.wait(30) else b"")
    queue = served.open()
    blocked = served.send(b"", LIST)
    call = served.send(embed("text"))
    answer(queue.take())
    assert call.result()
    release.set()
    assert blocked.result() == b"released"


def test_rare_methods_that_block_hold_up_no_large_message(make_front: MakeFront) -> None:
    release = threading.Event()
    front = make_front(limits=Limits(max_message_bytes=4 << 20))
    with grpc.insecure_channel(front.address) as channel:
        served = Served(front, channel)
        front.answer_unary(LIST, lambda _: b"released" if release.wait(30) else b"")
        queue = served.open()
        blocked = [served.send(b"", LIST) for _ in range(40)]
        call = served.send(embed("x" * (2 << 20)), timeout_s=10)
        answer(queue.take())
        assert call.exception() is None
        release.set()
        assert {call.result() for call in blocked} == {b"released"}


def test_a_rare_method_that_blocks_holds_up_no_other(served: Served) -> None:
    release = threading.Event()
    served.front.answer_unary(LIST, lambda _: b"released" if release.wait(30) else b"")
    served.front.answer_unary(SHOW, lambda _: b"shown")
    blocked = [served.send(b"", LIST) for _ in range(40)]
    assert served.send(b"", SHOW, timeout_s=10).result() == b"shown"
    release.set()
    assert {call.result() for call in blocked} == {b"released"}


def test_an_error_of_a_rare_method_reaches_its_caller(served: Served) -> None:
    def refuse(_: bytes) -> bytes:
        raise unknown_model("nonesuch")

    served.front.answer_unary(LIST, refuse)
    error = refused(served.send(b"", LIST))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_MODEL")
    assert served.front.stats().refusals == {"UNKNOWN_MODEL": 1}


@pytest.mark.parametrize("foreign", [RuntimeError, StopIteration, KeyError, MemoryError])
def test_a_foreign_exception_is_internal_with_an_id_that_the_log_has(
    served: Served, foreign: type[Exception], capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(_: bytes) -> bytes:
        raise foreign("/secret/path")

    served.front.answer_unary(LIST, fail)
    error = refused(served.send(b"", LIST))
    assert (error.code, error.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "secret" not in error.message
    assert foreign.__name__ not in error.message
    error_id = error.message.split()[2].rstrip(":")
    logged = "".join(capfd.readouterr())
    assert error_id in logged
    assert "/secret/path" in logged


def test_a_watch_tells_the_state_now(served: Served) -> None:
    served.front.answer_watch(WATCH, lambda message: b"state for " + message)
    watch = watched(served, b"me")
    assert next(watch) == b"state for me"
    watch.cancel()


def test_a_watch_keeps_no_message_of_many_bytes(served: Served) -> None:
    served.front.answer_watch(WATCH, lambda message: message)
    error = refusal_of(watched(served, bytes(100_000)).exception())
    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE")


def test_a_watch_tells_each_change(served: Served) -> None:
    state = [b"one"]
    changed = served.front.answer_watch(WATCH, lambda _: state[0])
    watch = watched(served)
    assert next(watch) == b"one"
    state[0] = b"two"
    changed()
    assert next(watch) == b"two"
    watch.cancel()


def test_a_change_to_the_same_is_not_told(served: Served) -> None:
    state, looks = [b"one"], []

    def look(_: bytes) -> bytes:
        looks.append(state[0])
        return state[0]

    changed = served.front.answer_watch(WATCH, look)
    watch = watched(served)
    assert next(watch) == b"one"
    changed()
    served.until(lambda: looks == [b"one", b"one"])
    state[0] = b"two"
    changed()
    assert next(watch) == b"two"
    watch.cancel()


def test_every_watcher_is_told(served: Served) -> None:
    state = [b"one"]
    changed = served.front.answer_watch(WATCH, lambda _: state[0])
    watches = [watched(served) for _ in range(10)]
    assert {next(watch) for watch in watches} == {b"one"}
    state[0] = b"two"
    changed()
    assert {next(watch) for watch in watches} == {b"two"}
    for watch in watches:
        watch.cancel()


def test_a_watcher_that_goes_leaves_the_others(served: Served) -> None:
    state = [b"one"]
    changed = served.front.answer_watch(WATCH, lambda _: state[0])
    leaver, stayer = watched(served), watched(served)
    assert (next(leaver), next(stayer)) == (b"one", b"one")
    leaver.cancel()
    state[0] = b"two"
    changed()
    assert next(stayer) == b"two"
    stayer.cancel()


def test_an_error_ends_a_watch(served: Served) -> None:
    def refuse(_: bytes) -> bytes:
        raise unknown_model("nonesuch")

    served.front.answer_watch(WATCH, refuse)
    with pytest.raises(grpc.RpcError) as caught:
        next(watched(served))
    assert refusal_of(caught.value).reason == "UNKNOWN_MODEL"


def test_a_foreign_exception_ends_a_watch_with_internal(served: Served) -> None:
    served.front.answer_watch(WATCH, lambda message: message[999:1000].decode("ascii").encode()[0:0] + bytes(1 // 0))
    with pytest.raises(grpc.RpcError) as caught:
        next(watched(served))
    assert refusal_of(caught.value).reason == "INTERNAL"


def test_a_watch_is_told_the_last_change_and_ends_at_drain(make_front: MakeFront) -> None:
    front = make_front()
    state = [b"ready"]
    front.answer_watch(WATCH, lambda _: state[0])
    with grpc.insecure_channel(front.address) as channel:
        watch = channel.unary_stream(WATCH)(b"", timeout=60)
        assert next(watch) == b"ready"
        state[0] = b"draining"
        front.drain(grace_s=10, notice_s=0)
        assert list(watch) == [b"draining"]
        assert watch.code() is grpc.StatusCode.OK
