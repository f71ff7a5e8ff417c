"""What is read from a message whose type the front does not know."""

import pytest

from argosy.v1.text_pb2 import TextServiceEmbedRequest
from services.runtime.errors import Cause, ServingError
from services.runtime.wire import MAX_FIELDS, Envelope, read_envelope

TEXTS = TextServiceEmbedRequest.TEXTS_FIELD_NUMBER


def refusal(message: bytes) -> ServingError:
    with pytest.raises(ServingError) as caught:
        read_envelope(message, TEXTS, "some.Request")
    return caught.value


def test_model_version_and_rows_are_read() -> None:
    message = TextServiceEmbedRequest(model="minilm", version="3", texts=["a", "", "c"]).SerializeToString()
    assert read_envelope(message, TEXTS, "some.Request") == Envelope("minilm", "3", 3, other_bytes=11)


def test_an_empty_message_says_nothing() -> None:
    assert read_envelope(b"", TEXTS, "some.Request") == Envelope("", "", 0, other_bytes=0)


def test_without_a_rows_field_no_rows_are_counted() -> None:
    message = TextServiceEmbedRequest(model="m", texts=["a"]).SerializeToString()
    assert read_envelope(message, 0, "some.Request").row_count == 0


def test_the_last_of_a_repeated_scalar_counts_as_protobuf_reads_it() -> None:
    message = b"".join(TextServiceEmbedRequest(model=model).SerializeToString() for model in ("one", "two"))
    assert (
        read_envelope(message, TEXTS, "some.Request").model
        == TextServiceEmbedRequest.FromString(message).model
        == "two"
    )


def test_a_field_of_another_wire_type_is_none_of_ours() -> None:
    message = b"\x08\x05\x10\x05\x18\x05"  # fields 1, 2 and 3 as varints
    parsed = TextServiceEmbedRequest.FromString(message)
    expected = Envelope(parsed.model, parsed.version, len(parsed.texts), other_bytes=len(message))
    assert read_envelope(message, TEXTS, "some.Request") == expected


def test_field_numbers_of_several_bytes_are_passed_over() -> None:
    message = b"\xf8\xff\xff\xff\x0f\x01" + TextServiceEmbedRequest(model="m").SerializeToString()
    assert read_envelope(message, TEXTS, "some.Request").model == "m"


@pytest.mark.parametrize(
    "message",
    [
        b"\x0a",
        b"\x0a\x05m",
        b"\x0a\x80",
        b"\x00\x01",
        b"\x0b\x0c",
        b"\x0e\x01",
        b"\x59\x01",
        b"\x5d\x01",
        b"\x0a\x01\xff",
        b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
        b"\x88\x80\x80\x80\x10\x00",
    ],
)
def test_what_protobuf_would_not_read_is_malformed(message: bytes) -> None:
    error = refusal(message)
    assert (error.cause, error.reason) == (Cause.INVALID_INPUT, "MALFORMED_MESSAGE")
    assert error.message.startswith("some.Request: ")


def test_the_number_of_fields_is_bounded() -> None:
    assert read_envelope(b"\x1a\x00" * MAX_FIELDS, TEXTS, "some.Request").row_count == MAX_FIELDS
    assert refusal(b"\x1a\x00" * (MAX_FIELDS + 1)).reason == "TOO_MANY_FIELDS"
