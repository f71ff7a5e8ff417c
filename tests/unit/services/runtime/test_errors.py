"""Every cause has one status, and what a caller wrote is shown short and printable."""

import grpc
import pytest

from services.runtime import errors
from services.runtime.errors import GRPC_STATUS, Cause, ServingError, shown


def test_every_cause_has_a_status() -> None:
    assert set(GRPC_STATUS) == set(Cause)


def test_no_two_causes_share_a_status() -> None:
    assert len(set(GRPC_STATUS.values())) == len(Cause)


def test_the_statuses_are_those_of_grpc_and_none_is_ok_or_unknown() -> None:
    codes = {code.value[0]: code.name for code in grpc.StatusCode}
    assert {codes[number] for number in GRPC_STATUS.values()}.isdisjoint({"OK", "UNKNOWN"})


@pytest.mark.parametrize(
    ("error", "cause", "reason", "message"),
    [
        (errors.invalid_input("x: bad", "x"), Cause.INVALID_INPUT, "INVALID_INPUT", "x: bad"),
        (errors.empty_request("texts"), Cause.INVALID_INPUT, "EMPTY_REQUEST", "texts: at least one is needed, got 0"),
        (errors.unknown_model("m"), Cause.NOT_FOUND, "UNKNOWN_MODEL", "no model 'm'"),
        (errors.unknown_model("m", "2"), Cause.NOT_FOUND, "UNKNOWN_VERSION", "model 'm' has no version '2'"),
        (errors.unavailable("LOADING", "loading"), Cause.UNAVAILABLE, "LOADING", "loading"),
        (errors.exhausted("QUEUE_FULL", "full"), Cause.EXHAUSTED, "QUEUE_FULL", "full"),
        (errors.deadline_exceeded("late"), Cause.DEADLINE, "DEADLINE_EXCEEDED", "late"),
        (errors.refused_load("BAD_DIGEST", "no"), Cause.REFUSED_LOAD, "BAD_DIGEST", "no"),
        (errors.unknown_method("/a.B/C"), Cause.UNIMPLEMENTED, "UNKNOWN_METHOD", "no method '/a.B/C'"),
        (errors.internal("id"), Cause.INTERNAL, "INTERNAL", "internal error id: the service's log has the details"),
    ],
)
def test_each_kind_of_error_says_what_it_is(error: ServingError, cause: Cause, reason: str, message: str) -> None:
    assert (error.cause, error.reason, str(error)) == (cause, reason, message)


def test_what_is_unavailable_says_when_to_try_again() -> None:
    assert errors.unavailable("LOADING", "loading").retry_after_s


@pytest.mark.parametrize(
    ("text", "as_shown"),
    [
        ("plain", "plain"),
        ("a\nb\x00\x1b[1m", "a?b??[1m"),
        ("x" * 64, "x" * 64),
        ("x" * 65, "x" * 64 + "…"),
        ("ä€", "ä€"),
    ],
)
def test_text_of_a_caller_is_shown_printable_and_short(text: str, as_shown: str) -> None:
    assert shown(text) == as_shown
