"""What is refused is let go of at once: a stranger's megabytes do not wait for the garbage collector."""

import gc
import weakref
from collections.abc import Callable, Iterator

import pytest

from services.runtime.errors import ServingError, invalid_input, without_frames


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
