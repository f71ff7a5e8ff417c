"""What a caller is told of its own tensors: parameters of its answer to ModelInfer, and of nobody else's."""

import grpc
import numpy as np
import pytest

from inference.grpc_service_pb2 import ModelInferResponse
from services.runtime.batch_buffers import BufferedRows
from services.runtime.front import Batch, Queue, Signature, TensorSignature
from tests.contract.harness import Served, raw_infer, raw_y, spec

OF_TWO = Signature((TensorSignature("x", "FP32", (-1, 2)),), (TensorSignature("y", "FP32", (-1, 2)),))


def echo(queue: Queue, remarks: dict[int, tuple[str, ...]]) -> None:
    batch = queue.take()
    assert batch is not None
    reply(batch, remarks)


def reply(batch: Batch, remarks: dict[int, tuple[str, ...]]) -> None:
    """y = x, in the outputs that belong to the inputs where there are such."""
    inputs = batch.tensors()
    if isinstance(inputs, BufferedRows):
        inputs.outputs["y"][:] = inputs["x"]
        batch.reply_tensors(inputs.outputs, remarks)
    else:
        batch.reply_tensors({"y": inputs["x"]}, remarks)


def remarked(call: grpc.Future) -> list[str]:
    parameters = ModelInferResponse.FromString(call.result()).parameters
    assert all(parameter.bool_param for parameter in parameters.values())
    return sorted(parameters)


def test_each_answer_has_the_remarks_on_its_own_request(served: Served) -> None:
    queue = served.open()
    calls = []
    for number in range(3):
        calls.append(served.infer(raw_infer([[number, 0]])))
        served.until_waiting(rows=number + 1)
    echo(queue, {0: ("imputed.a",), 2: ("imputed.a", "imputed.b")})
    assert [remarked(call) for call in calls] == [["imputed.a"], [], ["imputed.a", "imputed.b"]]
    assert [raw_y(call.result()) for call in calls] == [[[number, 0]] for number in range(3)]


def test_a_batch_in_a_workers_own_memory_has_its_remarks(served: Served) -> None:
    queue = served.open(spec(signature=OF_TWO)).for_worker()
    for remarks in ((), ("imputed.a",), (), ("imputed.b",)):
        call = served.infer(raw_infer([[1, 2]], request_id="id"))
        echo(queue, {0: remarks})
        assert (remarked(call), raw_y(call.result())) == (list(remarks), [[1, 2]])


def test_a_request_in_parts_has_the_remarks_on_any_of_them(served: Served) -> None:
    queue = served.open(spec(max_batch_rows=2))
    call = served.infer(raw_infer([[number, 0] for number in range(5)], request_id="large"))
    for remarks in ((), ("imputed.b",), ("imputed.a", "imputed.b")):
        echo(queue, {0: remarks})
    assert remarked(call) == ["imputed.a", "imputed.b"]
    assert raw_y(call.result()) == [[number, 0] for number in range(5)]


@pytest.mark.parametrize("request_id", ["", "second"])
def test_an_answer_that_was_kept_has_its_remarks(request_id: str, served: Served) -> None:
    queue = served.open(spec(cache_bytes=1 << 20))
    first = served.infer(raw_infer([[1, 2]], request_id="first"))
    echo(queue, {0: ("imputed.a",)})
    again = served.infer(raw_infer([[1, 2]], request_id=request_id))
    assert remarked(first) == remarked(again) == ["imputed.a"]
    assert ModelInferResponse.FromString(again.result()).id == request_id
    assert raw_y(again.result()) == np.float32([[1, 2]]).tolist()
