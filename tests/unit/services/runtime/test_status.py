"""A ServingError as gRPC carries it."""

from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status

from services.runtime.errors import Cause, ServingError, exhausted, invalid_input, unavailable, unknown_model
from services.runtime.status import bounded_message, grpc_code, status_details


def details(error: ServingError) -> dict[type[Message], Message]:
    status = Status.FromString(status_details(error))
    kinds = (ErrorInfo, BadRequest, QuotaFailure, RetryInfo)
    return {kind: kind.FromString(any_.value) for any_ in status.details for kind in kinds if any_.Is(kind.DESCRIPTOR)}


def test_the_status_repeats_code_and_message() -> None:
    error = invalid_input("x: bad")
    status = Status.FromString(status_details(error))
    assert (status.code, status.message) == (grpc_code(error), "x: bad") == (3, "x: bad")


def test_every_error_has_a_reason_in_the_domain_argosy() -> None:
    for cause in Cause:
        info = details(ServingError(cause, "SOME_REASON", "text"))[ErrorInfo]
        assert (info.reason, info.domain) == ("SOME_REASON", "argosy")


def test_a_field_at_fault_is_named() -> None:
    found = details(invalid_input("x: bad", field="x"))
    assert dict(found[ErrorInfo].metadata) == {"field": "x"}
    (violation,) = found[BadRequest].field_violations
    assert (violation.field, violation.description) == ("x", "x: bad")


def test_without_a_field_there_is_no_bad_request() -> None:
    assert set(details(unknown_model("m"))) == {ErrorInfo}


def test_what_can_succeed_later_says_when() -> None:
    retry = details(unavailable("LOADING", "loading", retry_after_s=1.25))[RetryInfo]
    assert (retry.retry_delay.seconds, retry.retry_delay.nanos) == (1, 250_000_000)


def test_what_is_exhausted_names_the_quota() -> None:
    (violation,) = details(exhausted("QUEUE_FULL", "full"))[QuotaFailure].violations
    assert (violation.subject, violation.description) == ("QUEUE_FULL", "full")


def test_a_message_is_cut_at_512_bytes_between_characters() -> None:
    for text in ("x" * 600, "ä" * 600, "€" * 600, "𝄞" * 600):
        cut = bounded_message(invalid_input(text))
        assert 508 <= len(cut.encode()) <= 512
        assert cut[:-1] == text[: len(cut) - 1]
        assert cut.endswith("…")


def test_a_message_of_512_bytes_is_left_as_it_is() -> None:
    assert bounded_message(invalid_input("x" * 512)) == "x" * 512


def test_the_details_fit_into_what_a_client_takes_of_trailers() -> None:
    error = ServingError(Cause.INVALID_INPUT, "R" * 60, "𝄞" * 9999, field="𝄞" * 9999, retry_after_s=1.0)
    assert len(status_details(error)) < 4096
