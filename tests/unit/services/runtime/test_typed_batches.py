"""Typed requests on a worker: whatever task code raises reaches its own request alone, and the worker lives."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from argosy.v1.text_pb2 import TextServiceEmbedRequest
from services.runtime.errors import invalid_input
from services.runtime.front import Array, TypedRoute
from services.runtime.typed_method import TaskCode
from tests.contract.harness import EMBED, embed, refusal_of
from tests.unit.services.runtime.served import Served, code
from tests.unit.services.runtime.tiny import write_version

Serve = Callable[..., Served]

# A batch leaves when it has three rows: the test says who runs together.
THREE_TOGETHER = "instances: 1\nmax_batch_rows: 3\nmax_wait_us: 1000000\n"


class Panic(BaseException):
    """As a library in Rust raises it: it is no Exception."""


class Doubled:
    """Twice each text's number; one that is none is found when the batch is put together. The text that is a method's
    name makes that method panic.
    """

    route: TypedRoute = EMBED

    def decode(self, message: bytes) -> list[str]:
        texts = list(TextServiceEmbedRequest.FromString(message).texts)
        panic_at("decode", texts)
        return texts

    def collate(self, requests: Sequence[list[str]]) -> dict[str, Array]:
        texts = [text for request in requests for text in request]
        panic_at("collate", texts)
        for row, text in enumerate(texts):
            if text == "none":
                raise invalid_input(f"texts[{row}]: no number", f"texts[{row}]")
        return {"x": np.array([[float(text) if text.isdigit() else 0.0] * 3 for text in texts], np.float32)}

    def row_lengths(self, requests: Sequence[list[str]]) -> Sequence[int]:
        return ()

    def encode(self, request: list[str], outputs: Mapping[str, Array]) -> bytes:
        panic_at("encode", request)
        return b" ".join(b"%d" % row[0] for row in outputs["y"])


def panic_at(step: str, texts: Sequence[str]) -> None:
    if step in texts:
        raise Panic(f"called `Option::unwrap()` on a `None` value: {step}")


@pytest.fixture
def served(serve: Serve) -> Served:
    served = serve([EMBED], task_code=TaskCode(lambda *_: (Doubled(),)))
    write_version(served.models)
    (served.models / "tiny" / "serving.yaml").write_text(THREE_TOGETHER)
    served.repository.load_all()
    return served


def ask(served: Served, *texts: str) -> bytes:
    """One request. Raises grpc.RpcError."""
    answer: bytes = served.channel.unary_unary(EMBED.method)(embed(*texts, model="tiny"), 20)
    return answer


@pytest.mark.parametrize("bad", [0, 4, 9])
def test_a_row_is_named_as_the_caller_of_a_request_in_parts_counts(served: Served, bad: int) -> None:
    texts = ["none" if row == bad else "1" for row in range(10)]
    with pytest.raises(grpc.RpcError) as raised:
        ask(served, *texts)
    refusal = refusal_of(raised.value)
    assert (refusal.message, refusal.field) == (f"texts[{bad}]: no number", f"texts[{bad}]")


@pytest.mark.parametrize("step", ["decode", "collate", "encode"])
def test_a_panic_fails_its_own_request_and_the_worker_goes_on(served: Served, step: str) -> None:
    for _ in range(2):
        with ThreadPoolExecutor(3) as callers:
            bad = callers.submit(code, lambda: ask(served, step))
            mates = [callers.submit(ask, served, text) for text in ("1", "2")]
        assert bad.result() is grpc.StatusCode.INTERNAL
        assert [mate.result() for mate in mates] == [b"2", b"4"]


def test_a_panic_that_no_request_is_to_blame_for_fails_its_batch_and_the_worker_goes_on(serve: Serve) -> None:
    def check(inputs: Mapping[str, Array]) -> tuple[str, ...]:
        if np.isnan(inputs["x"]).any():
            raise Panic
        return ()

    served = serve(task_code=TaskCode(lambda *_: (), lambda _: check))
    write_version(served.models)
    (served.models / "tiny" / "serving.yaml").write_text("instances: 1")
    served.repository.load_all()
    for _ in range(3):  # from the second on a batch may be tried in place first
        assert code(lambda: served.infer((np.nan, 0, 0))) is grpc.StatusCode.INTERNAL
        assert served.infer((1, 2, 3)) == [[2, 4, 6]]


def test_a_version_whose_task_code_panics_as_it_is_set_up_is_refused_and_the_others_load(serve: Serve) -> None:
    def methods(manifest: object, folder: object) -> tuple[Doubled, ...]:
        if "bad" in str(folder):
            raise Panic
        return ()

    served = serve(task_code=TaskCode(methods))
    for model in ("bad", "good"):
        write_version(served.models, model)
    served.repository.load_all()
    assert served.states() == {"bad/1": "REFUSED", "good/1": "READY*"}
