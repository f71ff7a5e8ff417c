"""A request of more rows than a batch, for the portable front: its parts, and the one answer that theirs become.

A part is a request of its own on its way through the queue. The first part that fails answers the whole. A typed answer
is a message whose rows are one repeated field, and protobuf reads messages that stand one behind the other as one,
their repeated fields joined; ModelInfer's outputs are joined tensor by tensor.
"""

from collections.abc import Sequence
from typing import TypeAlias

from inference.grpc_service_pb2 import ModelInferResponse
from services.runtime.errors import ServingError, exhausted
from services.runtime.faults import unforeseen

Outcome: TypeAlias = bytes | ServingError


def answer_too_large(limit: int, got: str) -> ServingError:
    """An answer over the limit; `got` is its size, or 'more' where no more of it was put together."""
    return exhausted("ANSWER_TOO_LARGE", f"an answer has at most {limit} bytes, this one {got}: ask for less")


class Whole:
    """What has come of the parts of one request. The queue holds its lock around every call."""

    def __init__(self, count: int, is_infer: bool) -> None:
        self._answers: list[bytes | None] = [None] * count
        self._is_infer = is_infer
        self._first_taken_s: float | None = None
        self._settled = False

    def settle(
        self, index: int, outcome: Outcome, taken_s: float, max_answer_bytes: int
    ) -> tuple[Outcome, float] | None:
        """A part has been answered that left at `taken_s`: the whole's outcome, once, and when its first part left.
        Answers that come to more than twice `max_answer_bytes` are too large, and the parts that are left need not run.
        """
        first = taken_s if self._first_taken_s is None else min(self._first_taken_s, taken_s)
        self._first_taken_s = first
        if self._settled:
            return None
        if isinstance(outcome, ServingError):
            self._settled = True
            return outcome, first
        self._answers[index] = outcome
        answers = [answer for answer in self._answers if answer is not None]
        # Each has its own heads; how large the whole is shows when it is put together.
        if sum(map(len, answers)) > 2 * max_answer_bytes:
            self._settled = True
            self._answers.clear()
            return answer_too_large(max_answer_bytes, "more"), first
        if len(answers) < len(self._answers):
            return None
        self._settled = True
        return (join_infer(answers) if self._is_infer else b"".join(answers)), first


def join_infer(parts: Sequence[bytes]) -> Outcome:
    """ModelInferResponses to the parts of a request as the one to all of it."""
    whole, *rest = map(ModelInferResponse.FromString, parts)
    for part in rest:
        whole.MergeFrom(ModelInferResponse(parameters=part.parameters))
        for tensor, more in zip(whole.outputs, part.outputs, strict=True):
            if tensor.shape[1:] != more.shape[1:]:
                return unforeseen("the answers to the parts of a request do not go together")
            tensor.shape[0] += more.shape[0]
            if tensor.HasField("contents"):
                tensor.contents.MergeFrom(more.contents)
    raw = [ModelInferResponse.FromString(part).raw_output_contents for part in parts]
    del whole.raw_output_contents[:]
    whole.raw_output_contents.extend(b"".join(of_tensor) for of_tensor in zip(*raw, strict=True))
    return whole.SerializeToString()
