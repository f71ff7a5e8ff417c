"""ModelInfer: tensors in, tensors out."""

import numpy as np
import pytest

from inference.grpc_service_pb2 import ModelInferRequest, ModelInferResponse
from services.runtime.front import Signature, TensorSignature
from services.runtime.tensors import DTYPES
from tests.contract.harness import Served, answer_infer, raw_infer, spec, tensor

CONTENTS = {
    "BOOL": ("bool_contents", [True, False, True]),
    "UINT8": ("uint_contents", [0, 1, 255]),
    "UINT16": ("uint_contents", [0, 1, 65535]),
    "UINT32": ("uint_contents", [0, 1, 2**32 - 1]),
    "UINT64": ("uint64_contents", [0, 2**63, 2**64 - 1]),
    "INT8": ("int_contents", [-128, 0, 127]),
    "INT16": ("int_contents", [-32768, 0, 32767]),
    "INT32": ("int_contents", [-(2**31), 0, 2**31 - 1]),
    "INT64": ("int64_contents", [-(2**63), 0, 2**63 - 1]),
    "FP32": ("fp32_contents", [-1.5, 0.0, 3.25]),
    "FP64": ("fp64_contents", [-1.5, 0.0, 1e300]),
    "BYTES": ("bytes_contents", [b"", b"a\x00b", "ä".encode()]),
}


def echo_of(*tensors: tuple[str, str]) -> Signature:
    """A model that answers what it reads: 'x' as 'x_out'."""
    return Signature(
        inputs=tuple(TensorSignature(name, datatype, (-1, -1)) for name, datatype in tensors),
        outputs=tuple(TensorSignature(f"{name}_out", datatype, (-1, -1)) for name, datatype in tensors),
    )


def echoed(served: Served, signature: Signature, request: ModelInferRequest) -> ModelInferResponse:
    queue = served.open(spec(signature=signature))
    call = served.infer(request)
    batch = queue.take()
    assert batch is not None
    batch.reply_tensors({f"{name}_out": array for name, array in batch.tensors().items()})
    return ModelInferResponse.FromString(call.result())


@pytest.mark.parametrize("datatype", sorted(CONTENTS))
def test_typed_contents_go_in_and_come_back(served: Served, datatype: str) -> None:
    field, elements = CONTENTS[datatype]
    request = ModelInferRequest(model_name="m", inputs=[tensor("x", datatype, (1, 3), **{field: elements})])
    response = echoed(served, echo_of(("x", datatype)), request)
    (output,) = response.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("x_out", datatype, [1, 3])
    assert list(getattr(output.contents, field)) == elements
    assert not response.raw_output_contents


@pytest.mark.parametrize("datatype", sorted(set(DTYPES) - {"BYTES"}))
def test_raw_contents_go_in_and_come_back(served: Served, datatype: str) -> None:
    array = np.array([[0, 1, 1], [1, 0, 1]], DTYPES[datatype])
    request = ModelInferRequest(model_name="m", inputs=[tensor("x", datatype, (2, 3))])
    request.raw_input_contents.append(array.tobytes())
    response = echoed(served, echo_of(("x", datatype)), request)
    (output,) = response.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("x_out", datatype, [2, 3])
    assert not output.HasField("contents")
    assert list(response.raw_output_contents) == [array.tobytes()]


def test_raw_bytes_elements_have_their_length_before_them(served: Served) -> None:
    raw = b"\x03\0\0\0abc\0\0\0\0"
    request = ModelInferRequest(model_name="m", inputs=[tensor("x", "BYTES", (2, 1))], raw_input_contents=[raw])
    response = echoed(served, echo_of(("x", "BYTES")), request)
    assert list(response.raw_output_contents) == [raw]


def test_an_array_of_bytes_reaches_the_worker_as_objects(served: Served) -> None:
    queue = served.open(spec(signature=echo_of(("x", "BYTES"))))
    inputs = [tensor("x", "BYTES", (2, 1), bytes_contents=[b"one", b"\xff"])]
    call = served.infer(ModelInferRequest(model_name="m", inputs=inputs))
    batch = queue.take()
    assert batch is not None
    array = batch.tensors()["x"]
    assert array.dtype == np.object_
    assert array.tolist() == [[b"one"], [b"\xff"]]
    batch.reply_tensors({"x_out": array})
    assert call.result()


def test_inputs_may_come_in_any_order(served: Served) -> None:
    request = ModelInferRequest(model_name="m", inputs=[tensor("b", "INT64", (1, 1)), tensor("a", "FP32", (1, 2))])
    request.raw_input_contents.extend([np.int64(7).tobytes(), np.float32([1, 2]).tobytes()])
    response = echoed(served, echo_of(("a", "FP32"), ("b", "INT64")), request)
    raw = dict(zip([output.name for output in response.outputs], response.raw_output_contents, strict=True))
    assert raw == {"a_out": np.float32([1, 2]).tobytes(), "b_out": np.int64(7).tobytes()}


def test_only_the_requested_outputs_come_back_in_their_order(served: Served) -> None:
    signature = echo_of(("a", "FP32"), ("b", "FP32"), ("c", "FP32"))
    inputs = [tensor(name, "FP32", (1, 1), fp32_contents=[ord(name)]) for name in "abc"]
    request = ModelInferRequest(model_name="m", inputs=inputs)
    request.outputs.add(name="c_out")
    request.outputs.add(name="a_out")
    response = echoed(served, signature, request)
    assert [output.name for output in response.outputs] == ["c_out", "a_out"]
    assert [output.contents.fp32_contents[0] for output in response.outputs] == [ord("c"), ord("a")]


def test_the_answer_names_the_request_the_model_and_the_version_that_answered(served: Served) -> None:
    queue = served.open(spec(version="3"))
    call = served.infer(raw_infer(request_id="my id"))
    answer_infer(queue.take())
    response = ModelInferResponse.FromString(call.result())
    assert (response.id, response.model_name, response.model_version) == ("my id", "m", "3")


def test_raw_and_typed_requests_share_a_batch_and_each_gets_its_own_kind(served: Served) -> None:
    queue = served.open()
    typed = ModelInferRequest(model_name="m", inputs=[tensor("x", "FP32", (1, 2), fp32_contents=[3, 4])])
    calls = [served.infer(raw_infer([[1, 2]])), served.infer(typed)]
    served.until_waiting(rows=2)
    answer_infer(queue.take())
    raw_answer, typed_answer = (ModelInferResponse.FromString(call.result()) for call in calls)
    assert raw_answer.raw_output_contents[0] == np.float32([2, 4]).tobytes()
    assert list(typed_answer.outputs[0].contents.fp32_contents) == [6, 8]


def test_an_output_of_a_kind_without_typed_contents_goes_raw(served: Served) -> None:
    queue = served.open()
    typed = ModelInferRequest(model_name="m", inputs=[tensor("x", "FP32", (1, 1), fp32_contents=[1])])
    call = served.infer(typed)
    batch = queue.take()
    assert batch is not None
    batch.reply_tensors({"y": np.float16([[1.5]])})
    response = ModelInferResponse.FromString(call.result())
    assert response.outputs[0].datatype == "FP16"
    assert list(response.raw_output_contents) == [np.float16(1.5).tobytes()]


def test_an_output_that_can_only_be_raw_makes_all_of_a_typed_answer_raw(served: Served) -> None:
    outputs = (TensorSignature("y", "FP32", (-1,)), TensorSignature("z", "FP16", (-1,)))
    queue = served.open(spec(signature=Signature((TensorSignature("x", "FP32", (-1,)),), outputs)))
    call = served.infer(ModelInferRequest(model_name="m", inputs=[tensor("x", "FP32", (1,), fp32_contents=[1.0])]))
    batch = queue.take()
    assert batch is not None
    batch.reply_tensors({"y": np.array([1.5], np.float32), "z": np.array([2.5], np.float16)})
    response = ModelInferResponse.FromString(call.result())
    assert [bytes(raw) for raw in response.raw_output_contents] == [b"\0\0\xc0\x3f", b"\0\x41"]
    assert not any(output.HasField("contents") for output in response.outputs)


def test_outputs_of_any_rank_are_split_by_rows(served: Served) -> None:
    queue = served.open()
    calls = [served.infer(raw_infer([[n]])) for n in range(2)]
    served.until_waiting(rows=2)
    batch = queue.take()
    assert batch is not None
    batch.reply_tensors({"y": batch.tensors()["x"].reshape(2, 1, 1, 1)})
    responses = [ModelInferResponse.FromString(call.result()) for call in calls]
    assert [list(response.outputs[0].shape) for response in responses] == [[1, 1, 1, 1]] * 2
    assert [response.raw_output_contents[0] for response in responses] == [np.float32(n).tobytes() for n in range(2)]
