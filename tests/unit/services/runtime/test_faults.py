"""What nobody foresaw is in the log under the id that the caller gets."""

import asyncio

import pytest

from services.runtime.errors import Cause, ServingError, invalid_input
from services.runtime.faults import foreseen, unforeseen


class Panic(BaseException):
    """As a library in Rust raises it: it is no Exception."""


@pytest.mark.parametrize("foreign", [ValueError, StopIteration, OSError, Panic])
def test_a_foreign_exception_becomes_internal_and_its_text_stays_in_the_log(
    foreign: type[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ServingError) as caught, foreseen("it failed"):
        raise foreign("/secret/path")
    assert caught.value.cause is Cause.INTERNAL
    assert "secret" not in caught.value.message
    logged = "".join(capsys.readouterr())
    assert "it failed" in logged
    assert "/secret/path" in logged
    assert caught.value.message.split()[2].rstrip(":") in logged


def test_an_error_of_ours_passes_as_it_is() -> None:
    error = invalid_input("x: bad")
    with pytest.raises(ServingError) as caught, foreseen("it failed"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_what_ends_a_task_or_a_thread_passes_as_it_is(ending: type[BaseException]) -> None:
    with pytest.raises(ending), foreseen("it failed"):
        raise ending


def test_no_two_faults_share_an_id() -> None:
    assert len({unforeseen("again").message for _ in range(100)}) == 100
