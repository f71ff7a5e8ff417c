"""The header by which routers send a step of a sequence: it says the same sequence as the message, or nothing runs."""

import grpc
import pytest

from inference.grpc_service_pb2 import InferParameter, ModelInferRequest, ModelStreamInferResponse
from tests.contract.harness import STREAM_INFER, Served, answer_infer, raw_infer, refused, spec

HEADER = "argosy-sequence"


def step(sequence: InferParameter | None) -> bytes:
    request = ModelInferRequest.FromString(raw_infer())
    if sequence is not None:
        request.parameters["sequence_id"].CopyFrom(sequence)
    return request.SerializeToString()


TEXT, NUMBER = InferParameter(string_param="a b/é"), InferParameter(int64_param=7)


@pytest.mark.parametrize(
    ("sequence", "said", "own"),
    [
        (NUMBER, "8", "7"),
        (NUMBER, "7,7", "7"),
        (InferParameter(uint64_param=1 << 63), "1", str(1 << 63)),
        (TEXT, "a b/e", "a%20b%2F%C3%A9"),
        (TEXT, "a%20b/%c3%a9", "a%20b%2F%C3%A9"),
        (NUMBER, "-", "7"),
    ],
)
def test_a_step_of_another_sequence_than_the_headers_is_refused(
    served: Served, sequence: InferParameter, said: str, own: str
) -> None:
    served.open()
    error = refused(served.infer(step(sequence), metadata=[(HEADER, said)]))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "SEQUENCE_MISMATCH")
    assert error.field == HEADER
    assert error.message == f"the header {HEADER} says '{said}', where the message's sequence_id makes it '{own}'"
    assert served.stats().waiting_rows == 0


def test_a_header_that_comes_twice_is_no_sequences(served: Served) -> None:
    served.open()
    error = refused(served.infer(step(NUMBER), metadata=[(HEADER, "7"), (HEADER, "7")]))
    assert error.reason == "SEQUENCE_MISMATCH"


@pytest.mark.parametrize(
    ("sequence", "said"),
    [
        (NUMBER, "7"),
        (InferParameter(string_param="7"), "7"),
        (InferParameter(uint64_param=7), "7"),
        (TEXT, "a%20b%2F%C3%A9"),
        (InferParameter(string_param="-._~aZ0"), "-._~aZ0"),
        (InferParameter(string_param="é" * 300), ("%C3%A9" * 300)[:512]),
        (NUMBER, ""),
        (None, "7"),
        (InferParameter(string_param=""), "7"),  # no sequence's: the worker says so
    ],
)
def test_a_step_of_the_headers_sequence_or_without_either_is_taken(
    served: Served, sequence: InferParameter | None, said: str
) -> None:
    queue = served.open()
    call = served.infer(step(sequence), metadata=[(HEADER, said)])
    answer_infer(queue.take())
    assert call.result()


def test_of_a_stream_the_header_is_that_of_its_first_step(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=1))  # or both may be one batch
    steps = iter([step(NUMBER), step(TEXT)])
    stream = served.channel.stream_stream(STREAM_INFER)(steps, timeout=30, metadata=[(HEADER, "7")])
    for _ in range(2):
        answer_infer(queue.take())
        assert ModelStreamInferResponse.FromString(next(stream)).error_message == ""


def test_a_stream_whose_first_step_is_of_another_sequence_answers_it_with_the_error(served: Served) -> None:
    served.open()
    stream = served.channel.stream_stream(STREAM_INFER)(iter([step(NUMBER)]), timeout=30, metadata=[(HEADER, "8")])
    assert "sequence_id makes it '7'" in ModelStreamInferResponse.FromString(next(stream)).error_message
