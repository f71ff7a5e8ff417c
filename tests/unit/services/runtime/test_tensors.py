"""ModelInfer messages to arrays and back. What is refused, and how, is in tests/contract/test_infer_malformed.py."""

import numpy as np
import pytest

from inference.grpc_service_pb2 import InferTensorContents, ModelInferRequest, ModelInferResponse
from services.runtime.errors import ServingError
from services.runtime.front import Array, Signature, TensorSignature
from services.runtime.tensors import DTYPES, InferCall, datatype_of, encode_infer, gather, parse_infer, to_raw

SIGNATURE = Signature(
    inputs=(TensorSignature("a", "FP32", (-1, 2)), TensorSignature("b", "INT64", (-1,))),
    outputs=(TensorSignature("y", "FP32", (-1, 2)), TensorSignature("z", "BYTES", (-1,))),
)


def request(rows: int = 1, *, raw: bool = True, request_id: str = "") -> ModelInferRequest:
    a, b = np.arange(2 * rows, dtype=np.float32), np.arange(rows, dtype=np.int64)
    message = ModelInferRequest(model_name="m", id=request_id)
    message.inputs.add(name="b", datatype="INT64", shape=[rows])
    message.inputs.add(name="a", datatype="FP32", shape=[rows, 2])
    if raw:
        message.raw_input_contents.extend([b.tobytes(), a.tobytes()])
    else:
        message.inputs[0].contents.int64_contents.extend(b.tolist())
        message.inputs[1].contents.fp32_contents.extend(a.tolist())
    return message


def call(message: ModelInferRequest) -> InferCall:
    return parse_infer(message.SerializeToString(), SIGNATURE)


def outputs_of(rows: int) -> dict[str, Array]:
    names = np.empty(rows, np.object_)
    names[:] = [b"\x00name"] * rows
    return {"y": np.ones((rows, 2), np.float32), "z": names}


@pytest.mark.parametrize("raw", [True, False])
def test_inputs_are_in_the_order_and_the_dtypes_of_the_signature(raw: bool) -> None:
    parsed = call(request(3, raw=raw, request_id="id"))
    assert list(parsed.inputs) == ["a", "b"]
    assert parsed.inputs["a"].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert parsed.inputs["b"].tolist() == [0, 1, 2]
    assert [array.dtype for array in parsed.inputs.values()] == [np.float32, np.int64]
    assert (parsed.request_id, parsed.row_count, parsed.raw) == ("id", 3, raw)
    assert parsed.requested_outputs == ("y", "z")


def test_trailing_shapes_leave_the_rows_out() -> None:
    assert call(request(3)).trailing_shapes == call(request(1)).trailing_shapes == ((2,), ())


def test_the_rows_of_several_calls_are_gathered_in_order() -> None:
    gathered = gather([call(request(1)), call(request(2))])
    assert gathered["a"].tolist() == [[0, 1], [0, 1], [2, 3]]
    assert gathered["b"].tolist() == [0, 0, 1]
    assert gathered["a"].flags.c_contiguous


def test_one_call_is_gathered_without_a_copy() -> None:
    alone = call(request(2))
    assert gather([alone])["a"] is alone.inputs["a"]


@pytest.mark.parametrize("raw", [True, False])
def test_a_reply_is_raw_where_its_request_was(raw: bool) -> None:
    encoded = encode_infer(call(request(2, raw=raw, request_id="id")), "m", "1", outputs_of(2))
    response = ModelInferResponse.FromString(encoded)
    assert (response.id, response.model_name, response.model_version) == ("id", "m", "1")
    assert [(output.name, output.datatype, list(output.shape)) for output in response.outputs] == [
        ("y", "FP32", [2, 2]),
        ("z", "BYTES", [2]),
    ]
    if raw:
        assert response.raw_output_contents[0] == np.ones(4, np.float32).tobytes()
        assert response.raw_output_contents[1] == b"\x05\0\0\0\x00name" * 2
    else:
        assert list(response.outputs[0].contents.fp32_contents) == [1] * 4
        assert list(response.outputs[1].contents.bytes_contents) == [b"\x00name"] * 2


def test_every_dtype_has_one_word() -> None:
    assert {datatype_of(np.empty(0, dtype)) for dtype in DTYPES.values()} == set(DTYPES)


def test_a_dtype_that_the_protocol_has_no_word_for_is_an_error() -> None:
    with pytest.raises(ValueError, match="complex64"):
        datatype_of(np.empty(0, np.complex64))


def test_raw_bytes_are_row_major_whatever_the_array_is() -> None:
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    assert to_raw(array.T) == np.ascontiguousarray(array.T).tobytes()


@pytest.mark.parametrize(
    ("datatype", "field", "good", "bad"),
    [
        ("UINT8", "uint_contents", 255, 256),
        ("UINT16", "uint_contents", 65_535, 65_536),
        ("INT8", "int_contents", -128, -129),
        ("INT16", "int_contents", 32_767, 32_768),
    ],
)
def test_an_element_that_is_too_large_for_its_dtype_is_refused(datatype: str, field: str, good: int, bad: int) -> None:
    signature = Signature((TensorSignature("x", datatype, (-1,)),), ())
    for element in (good, bad):
        message = ModelInferRequest()
        contents = InferTensorContents(**{field: [element]})
        message.inputs.add(name="x", datatype=datatype, shape=[1], contents=contents)
        if element == good:
            assert parse_infer(message.SerializeToString(), signature).inputs["x"].tolist() == [good]
        else:
            with pytest.raises(ServingError, match=f"no {datatype}"):
                parse_infer(message.SerializeToString(), signature)


def test_nan_and_infinity_are_the_models_business() -> None:
    signature = Signature((TensorSignature("x", "FP32", (-1,)),), ())
    message = ModelInferRequest()
    contents = InferTensorContents(fp32_contents=[float("inf"), float("nan")])
    message.inputs.add(name="x", datatype="FP32", shape=[2], contents=contents)
    array = parse_infer(message.SerializeToString(), signature).inputs["x"]
    assert np.isinf(array[0])
    assert np.isnan(array[1])
