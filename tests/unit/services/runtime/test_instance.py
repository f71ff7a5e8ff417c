"""A worker and its batches: who is at fault fails alone, and the answers of a batch go to whom they belong."""

import math
import struct
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import grpc
import numpy as np
import pytest

from inference.grpc_service_pb2 import ModelInferRequest, ModelInferResponse
from services.runtime.errors import invalid_input
from services.runtime.front import Array, Remarks
from services.runtime.instance import answer
from services.runtime.stages import StageClock, StageCounts
from services.runtime.typed_method import TaskCode
from tests.unit.services.runtime.served import MODEL_INFER, Served
from tests.unit.services.runtime.tiny import (
    echo_graph,
    lookup_graph,
    scaling_graph,
    session,
    slow_graph,
    tensor,
    write_version,
)

Serve = Callable[..., Served]

# A batch leaves when it has three rows: the test says who runs together.
THREE_TOGETHER = "instances: 1\nmax_batch_rows: 3\nmax_wait_us: 1000000\n"


def loaded(served: Served, graph: bytes, serving: str = THREE_TOGETHER, **manifest: object) -> Served:
    write_version(served.models, graph=graph, **manifest)
    (served.models / "tiny" / "serving.yaml").write_text(serving)
    served.repository.load_all()
    assert served.states() == {"tiny/1": "READY*"}
    return served


def ask(served: Served, datatype: str, *values: bytes, shape: tuple[int, ...]) -> list[bytes | grpc.RpcError]:
    """One request a value, all at once; answers in the same order."""

    def one(raw: bytes) -> bytes | grpc.RpcError:
        request = ModelInferRequest(model_name="tiny", raw_input_contents=[raw])
        request.inputs.add(name="x", datatype=datatype, shape=shape)
        call = served.channel.unary_unary(MODEL_INFER).future(request.SerializeToString(), 20)
        error = call.exception()
        assert ("argosy-batch-rows", "3") in call.trailing_metadata()
        return error or ModelInferResponse.FromString(call.result()).raw_output_contents[0]

    with ThreadPoolExecutor(len(values)) as callers:
        return list(callers.map(one, values))


def floats(*values: float) -> bytes:
    return np.array(values, "<f4").tobytes()


def test_each_request_of_a_batch_gets_its_own_rows(serve: Serve) -> None:
    served = loaded(serve(), scaling_graph(2))
    answers = ask(served, "FP32", floats(1, 1, 1), floats(2, 2, 2), floats(3, 3, 3), shape=(1, 3))
    assert answers == [floats(2, 2, 2), floats(4, 4, 4), floats(6, 6, 6)]


def test_a_request_that_the_graph_does_not_take_fails_alone(serve: Serve) -> None:
    served = loaded(
        serve(), lookup_graph(), inputs=[tensor("INT64", -1, 1)], outputs=[tensor("FP32", -1, 1, 2, name="y")]
    )
    good, bad, other = ask(served, "INT64", *(struct.pack("<q", i) for i in (0, 7, 2)), shape=(1, 1))

    assert (good, other) == (floats(0, 1), floats(4, 5))
    assert isinstance(bad, grpc.RpcError)
    assert bad.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_an_index_beyond_its_table_fails_alone_and_its_row_is_told(serve: Serve) -> None:
    served = loaded(
        serve(),
        lookup_graph(),
        inputs=[tensor("INT64", -1, 1) | {"table_entries": 3}],
        outputs=[tensor("FP32", -1, 1, 2, name="y") | {"role": "OUTPUT_ROLE_VALUE"}],
    )
    indices = [np.array([index], "<i8").tobytes() for index in (0, 3, 2)]
    first, beyond, last = ask(served, "INT64", *indices, shape=(1, 1))
    assert (first, last) == (floats(0, 1), floats(4, 5))
    assert beyond.details() == "input 'x': row 0, 3 is no index of a table of 3 entries"


def test_a_text_that_is_not_utf8_fails_alone(serve: Serve) -> None:
    served = loaded(serve(), echo_graph(), inputs=[tensor("BYTES", -1, 1)], outputs=[tensor("BYTES", -1, 1, name="y")])
    texts = [struct.pack("<I", len(text)) + text for text in (b"a", b"\xff", "ö".encode())]
    good, bad, other = ask(served, "BYTES", *texts, shape=(1, 1))

    assert (good, other) == (texts[0], texts[2])
    assert isinstance(bad, grpc.RpcError)
    assert bad.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_request_that_the_models_check_refuses_fails_alone(serve: Serve) -> None:
    def check(inputs: Mapping[str, Array]) -> tuple[str, ...]:
        for row, values in enumerate(inputs["x"]):
            if np.isnan(values).any():
                raise invalid_input(f"row {row} is not a number")
        return ()

    served = loaded(serve(task_code=TaskCode(lambda *_: (), lambda _: check)), scaling_graph(2))
    good, bad, other = ask(served, "FP32", floats(1, 1, 1), floats(2, np.nan, 2), floats(3, 3, 3), shape=(1, 3))

    assert (good, other) == (floats(2, 2, 2), floats(6, 6, 6))
    assert isinstance(bad, grpc.RpcError)
    # Counted within the request, not within the batch.
    assert bad.details() == "row 0 is not a number"


def test_each_caller_is_told_what_the_models_check_says_of_its_own_tensors(serve: Serve) -> None:
    def check(inputs: Mapping[str, Array]) -> tuple[str, ...]:
        if (inputs["x"] < 0).any():
            raise invalid_input("negative")
        return tuple(f"imputed.{place}" for place in np.flatnonzero(np.isnan(inputs["x"]).any(axis=0)))

    served = loaded(serve(task_code=TaskCode(lambda *_: (), lambda _: check)), scaling_graph(2))

    def told(row: list[float]) -> list[str]:
        request = ModelInferRequest(model_name="tiny", raw_input_contents=[floats(*row)])
        request.inputs.add(name="x", datatype="FP32", shape=(1, 3))
        response = ModelInferResponse.FromString(
            served.channel.unary_unary(MODEL_INFER)(request.SerializeToString(), timeout=20)
        )
        return sorted(response.parameters)

    with ThreadPoolExecutor(3) as callers:
        refused, *others = (callers.submit(told, row) for row in ([-1, 0, 0], [1, 2, 3], [math.nan, 2, math.nan]))
    assert isinstance(refused.exception(), grpc.RpcError)
    assert [other.result() for other in others] == [[], ["imputed.0", "imputed.2"]]


def test_a_row_is_named_as_the_caller_of_a_request_in_parts_counts(serve: Serve) -> None:
    def check(inputs: Mapping[str, Array]) -> tuple[str, ...]:
        for row, values in enumerate(inputs["x"]):
            if np.isnan(values).any():
                raise invalid_input(f"row {row}: not a number")
        return ()

    served = loaded(serve(task_code=TaskCode(lambda *_: (), lambda _: check)), scaling_graph(2))
    rows = [(float(number), 0.0, 0.0) for number in range(7)]
    assert served.infer(*rows) == [[2.0 * number, 0.0, 0.0] for number in range(7)]
    with pytest.raises(grpc.RpcError, match="row 4: not a number"):
        served.infer(*rows[:4], (math.nan, 0.0, 0.0), *rows[5:])


def test_a_batch_is_padded_to_a_preferred_size_and_answered_with_its_own_rows(serve: Serve) -> None:
    served = loaded(serve(), scaling_graph(2), serving="preferred_batch_rows: [4, 8]\n")
    assert served.infer((1, 2, 3), (4, 5, 6)) == [[2, 4, 6], [8, 10, 12]]


def test_a_batch_of_nothing_but_bad_requests_answers_them_all(serve: Serve) -> None:
    served = loaded(
        serve(), lookup_graph(), inputs=[tensor("INT64", -1, 1)], outputs=[tensor("FP32", -1, 1, 2, name="y")]
    )
    answers = ask(served, "INT64", *(struct.pack("<q", i) for i in (7, 8, 9)), shape=(1, 1))
    assert [answer.code() for answer in answers if isinstance(answer, grpc.RpcError)] == [
        grpc.StatusCode.INVALID_ARGUMENT
    ] * 3


@pytest.mark.parametrize("outputs", [[tensor("FP32", -1, 3, name="z")], []], ids=["another", "none"])
def test_a_graph_that_is_not_as_its_manifest_says_never_gets_here(
    outputs: list[dict[str, object]], serve: Serve, tmp_path: Path
) -> None:
    served = serve()
    write_version(served.models, outputs=outputs)
    served.repository.load_all()
    assert served.states() == {"tiny/1": "REFUSED"}


def test_a_run_whose_caller_goes_is_ended_and_counts_as_failed(serve: Serve) -> None:
    runs = threading.Semaphore(0)

    def check(inputs: Mapping[str, Array]) -> tuple[str, ...]:
        if np.isnan(inputs["x"]).any():
            raise invalid_input("not a number")
        runs.release()
        return ()

    served = loaded(serve(task_code=TaskCode(lambda *_: (), lambda _: check)), slow_graph(), "instances: 1\n")
    request = ModelInferRequest(model_name="tiny", raw_input_contents=[floats(1, 2, 3)])
    request.inputs.add(name="x", datatype="FP32", shape=(1, 3))
    for batches in (2, 4):  # a worker's second batch may be answered in place
        leaving = served.channel.unary_unary(MODEL_INFER).future(request.SerializeToString(), 20)
        assert runs.acquire(timeout=20)
        leaving.cancel()

        with pytest.raises(grpc.RpcError, match="not a number"):  # the one worker is free again
            served.infer((math.nan, 0, 0))
        (queue,) = served.front.stats().queues
        assert (queue.succeeded_requests, queue.failed_requests) == (0, batches)


@pytest.mark.parametrize("settled", [True, False])
def test_options_of_a_run_are_used_again_only_where_nobody_can_end_it_any_more(settled: bool, tmp_path: Path) -> None:
    loaded_session = session(tmp_path, scaling_graph(2))
    version = SimpleNamespace(
        session=loaded_session,
        sequences=None,
        check=lambda _: None,
        config=SimpleNamespace(preferred_batch_rows=()),
        stages=StageCounts(),
    )
    batch = _Batch(settled)
    answer(batch, version, StageClock(0))
    assert batch.answered == {"y": [[2, 2, 2]]}
    assert len(loaded_session.options) == settled
    batch.abandon()  # late, where it still may come
    assert loaded_session.start().outputs(batch.tensors())["y"].tolist() == [[2, 2, 2]]


class _Batch:
    """One request of one row."""

    method, rows, request_count, row_counts, first_rows = MODEL_INFER, 1, 1, (1,), (0,)

    def __init__(self, settled: bool) -> None:
        self.settled = settled
        self.answered: dict[str, list[list[float]]] = {}

    def tensors(self) -> dict[str, Array]:
        return {"x": np.ones((1, 3), np.float32)}

    def on_abandoned(self, callback: Callable[[], None]) -> None:
        self.abandon = callback if not self.settled else lambda: None

    def reply_tensors(self, outputs: Mapping[str, Array], remarks: Remarks) -> None:
        self.answered = {name: array.tolist() for name, array in outputs.items()}
