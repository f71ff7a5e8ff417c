"""Typed requests whose envelope is wrong. What is inside the rows is for the task to judge."""

import grpc
import pytest

from tests.contract.harness import Served, answer, embed, refused

NAME = "argosy.v1.TextServiceEmbedRequest"


@pytest.mark.parametrize(
    "corrupt",
    {
        "cut short": embed("text")[:-1],
        "a tag alone": embed("text") + b"\x1a",
        "a length beyond the end": b"\x0a\xff\x7f",
        "a length beyond 64 bits": b"\x0a" + b"\xff" * 10 + b"\x01",
        "a varint without an end": b"\xff" * 11,
        "field number 0": b"\x02\x00",
        "a wire type that there is not": b"\x0f",
        "a model that is no UTF-8": b"\x0a\x02\xc3\x28",
        "a version that is no UTF-8": embed("text") + b"\x12\x02\xc3\x28",
        "text": b"GET / HTTP/1.1\r\n\r\n",
        "150 nested groups": embed("text") + b"\x53" * 150 + b"\x54" * 150,
        "fixed fields cut short": embed("text") + b"\x55\x00\x00",
    }.items(),
    ids=lambda case: case[0],
)
def test_corrupt_bytes_are_told_the_name_of_the_message(served: Served, corrupt: tuple[str, bytes]) -> None:
    queue = served.open()
    error = refused(served.send(corrupt[1]))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE")
    assert error.message.startswith(f"{NAME}: ")
    queue.close()
    assert queue.take() is None


def test_a_request_without_rows_is_empty(served: Served) -> None:
    served.open()
    no_rows = embed("text")[: -len(b"\x1a\x04text")]
    error = refused(served.send(no_rows))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "EMPTY_REQUEST")
    assert (error.message, error.field) == ("texts: at least one is needed, got 0", "texts")


def test_an_empty_message_has_no_model(served: Served) -> None:
    assert refused(served.send(b"")).field == "model"


def test_an_empty_row_is_a_row(served: Served) -> None:
    queue = served.open()
    call = served.send(embed("", ""))
    assert list(answer(queue.take()).row_counts) == [2]
    assert call.result()


def test_fields_that_nobody_knows_are_passed_over(served: Served) -> None:
    queue = served.open()
    message = b"\x50\x96\x01\x59\x00\x00\x00\x00\x00\x00\x00\x00\x65\x00\x00\x00\x00\x6a\x01z" + embed("text")
    call = served.send(message)
    batch = answer(queue.take())
    assert list(batch.row_counts) == [1]
    assert call.result() == message


def test_the_rows_are_not_looked_into(served: Served) -> None:
    queue = served.open()
    message = embed("text") + b"\x1a\x02\xc3\x28"
    call = served.send(message)
    assert list(answer(queue.take()).row_counts) == [2]
    assert call.result() == message


def test_a_message_of_endless_tiny_fields_is_refused(served: Served) -> None:
    served.open()
    error = refused(served.send(embed("text") + b"\x50\x00" * 500_000))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "TOO_MANY_FIELDS")
