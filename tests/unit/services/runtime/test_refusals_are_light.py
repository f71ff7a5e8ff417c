"""What is refused is let go of at once: a stranger's megabytes do not wait for the garbage collector."""

import gc
import weakref
from collections.abc import Callable, Iterator

import grpc
import pytest

from services.runtime.errors import ServingError, invalid_input, without_frames
from services.runtime.portable_front import PortableFront
from tests.contract.harness import EMBED, embed


class Contents(bytearray):
    """Bytes that can be watched."""


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_an_error_that_is_kept_holds_nothing_of_what_it_came_through(no_collection: None) -> None:
    watched: list[weakref.ref[Contents]] = []

    def refuse() -> None:
        contents = Contents(1000)
        watched.append(weakref.ref(contents))
        try:
            int("no number")
        except ValueError:
            raise invalid_input("no number") from None

    kept = caught(refuse)

    assert watched[0]() is None
    assert (kept.reason, kept.message) == ("INVALID_INPUT", "no number")


def caught(call: Callable[[], None]) -> ServingError:
    try:
        call()
    except ServingError as error:
        return without_frames(error)
    raise AssertionError("it was not refused")


def test_nothing_of_a_call_that_the_portable_front_refuses_stays(no_collection: None) -> None:
    front, before = PortableFront("127.0.0.1:0", (EMBED,)), generators()
    with grpc.insecure_channel(front.address) as channel:
        calls = [channel.unary_unary(EMBED.method).future(embed("text"), timeout=10) for _ in range(10)]
        assert {call.code() for call in calls} == {grpc.StatusCode.NOT_FOUND}
    front.drain(grace_s=0, notice_s=0)
    assert generators() == before


def generators() -> int:
    """grpcio's that hand out the messages of a call: each holds the last."""
    return sum(type(one).__name__ == "async_generator" for one in gc.get_objects())
