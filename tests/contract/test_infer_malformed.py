"""ModelInfer with what is wrong in a request: one answer each, by name, and nothing reaches a worker."""

import re
import struct
from dataclasses import dataclass, field

import grpc
import pytest

from inference.grpc_service_pb2 import ModelInferRequest
from services.runtime.front import Limits, Signature, TensorSignature
from tests.contract.conftest import MakeFront
from tests.contract.harness import Served, raw_infer, refused, spec, tensor

SIGNATURE = Signature(
    inputs=(TensorSignature("x", "FP32", (-1, 3)), TensorSignature("n", "BYTES", (-1, -1))),
    outputs=(TensorSignature("y", "FP32", (-1, 3)),),
)
X = tensor("x", "FP32", (2, 3), fp32_contents=range(6))
N = tensor("n", "BYTES", (2, 1), bytes_contents=[b"a", b"b"])
RAW_X, RAW_N = bytes(24), b"\x01\0\0\0a\x01\0\0\0b"


@dataclass(frozen=True)
class Case:
    """What is wrong, and the message that says so."""

    inputs: list[ModelInferRequest.InferInputTensor]
    message: str
    raw: list[bytes] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)


def bare(
    name: str = "x", datatype: str = "FP32", shape: tuple[int, ...] = (2, 3)
) -> ModelInferRequest.InferInputTensor:
    return tensor(name, datatype, shape)


BARE_N = bare("n", "BYTES", (2, 1))

CASES = {
    "too few bytes": Case([bare(), BARE_N], "input 'x': shape [2, 3] FP32 needs 24 bytes, got 20", [bytes(20), RAW_N]),
    "too many bytes": Case([bare(), BARE_N], "input 'x': shape [2, 3] FP32 needs 24 bytes, got 28", [bytes(28), RAW_N]),
    "too few elements": Case(
        [tensor("x", "FP32", (2, 3), fp32_contents=range(5)), N],
        "input 'x': shape [2, 3] FP32 needs 6 elements, got 5",
    ),
    "no contents at all": Case([bare(), N], "input 'x': shape [2, 3] FP32 needs 6 elements, got 0"),
    "rows beyond all memory": Case(
        [bare(shape=(2**62, 3)), BARE_N],
        f"input 'x': shape [{2**62}, 3] FP32 needs {2**62 * 12} bytes, got 24",
        [RAW_X, RAW_N],
    ),
    "a huge shape": Case(
        [X, bare("n", "BYTES", (2**32, 2**32))],
        f"input 'n': shape [{2**32}, {2**32}] BYTES needs {2**64} elements, got 0",
    ),
    "a huge raw shape": Case(
        [bare(), bare("n", "BYTES", (2**32, 2**32))],
        f"input 'n': shape [{2**32}, {2**32}] BYTES needs {2**64} elements, got 2",
        [RAW_X, RAW_N],
    ),
    "a negative dimension": Case(
        [bare(shape=(2, -3)), N], "input 'x': shape [-1, 3] is needed (-1 is any but 0), got [2, -3]"
    ),
    "negative rows": Case(
        [bare(shape=(-2, 3)), N], "input 'x': shape [-1, 3] is needed (-1 is any but 0), got [-2, 3]"
    ),
    "an empty dimension": Case(
        [X, bare("n", "BYTES", (2, 0))], "input 'n': shape [-1, -1] is needed (-1 is any but 0), got [2, 0]"
    ),
    "rank 9": Case([bare(shape=(1,) * 9), N], "input 'x': at most 8 dimensions, got 9"),
    "rank 0": Case([bare(shape=()), N], "input 'x': shape [-1, 3] is needed (-1 is any but 0), got []"),
    "another rank": Case([bare(shape=(6,)), N], "input 'x': shape [-1, 3] is needed (-1 is any but 0), got [6]"),
    "another width": Case([bare(shape=(3, 2)), N], "input 'x': shape [-1, 3] is needed (-1 is any but 0), got [3, 2]"),
    "another dtype": Case([bare(datatype="INT64"), N], "input 'x': datatype FP32 is needed, got INT64"),
    "no dtype": Case([bare(datatype=""), N], "input 'x': datatype FP32 is needed, got none"),
    "a dtype that is none": Case([bare(datatype="FP32\n"), N], "input 'x': datatype FP32 is needed, got FP32?"),
    "contents of another kind": Case(
        [tensor("x", "FP32", (2, 3), int_contents=range(6)), N],
        "input 'x': FP32 belongs into fp32_contents, got int_contents",
    ),
    "a missing input": Case([X], "input 'n': missing"),
    "no inputs": Case([], "input 'x': missing"),
    "an input given twice": Case([X, X, N], "input 'x': given twice"),
    "an unknown input": Case([X, N, bare("z")], "input 'z': unknown; the model reads 'x', 'n'"),
    "no rows": Case([tensor("x", "FP32", (0, 3)), N], "input 'x': at least one is needed, got 0"),
    "inputs of different rows": Case(
        [X, tensor("n", "BYTES", (1, 1), bytes_contents=[b"a"])],
        "inputs: the first dimension counts rows and must be the same in all, got 'x' 2, 'n' 1",
    ),
    "one raw for two": Case([bare(), BARE_N], "raw_input_contents: one an input is needed, 2, got 1", [RAW_X]),
    "three raw for two": Case(
        [bare(), BARE_N], "raw_input_contents: one an input is needed, 2, got 3", [RAW_X, RAW_N, b""]
    ),
    "both raw and typed": Case(
        [X, BARE_N], "input 'x': has both raw and typed contents; send one of them", [RAW_X, RAW_N]
    ),
    "an element cut short": Case([bare(), BARE_N], "input 'n': element 1 is cut short", [RAW_X, RAW_N[:-1]]),
    "a length cut short": Case([bare(), BARE_N], "input 'n': element 1 is cut short", [RAW_X, RAW_N[:7]]),
    "a length beyond the end": Case(
        [bare(), BARE_N], "input 'n': element 0 is cut short", [RAW_X, struct.pack("<I", 2**32 - 1)]
    ),
    "too few raw elements": Case(
        [bare(), BARE_N], "input 'n': shape [2, 1] BYTES needs 2 elements, got 1", [RAW_X, RAW_N[:5]]
    ),
    "too many raw elements": Case(
        [bare(), BARE_N], "input 'n': shape [2, 1] BYTES needs 2 elements, got more", [RAW_X, RAW_N * 2]
    ),
    "an unknown output": Case([X, N], "output 'z': unknown; the model answers 'y'", outputs=["z"]),
    "an output asked for twice": Case([X, N], "output 'y': asked for twice", outputs=["y", "y"]),
}


@pytest.mark.parametrize("what", CASES)
def test_it_is_named_and_never_runs(served: Served, what: str) -> None:
    case = CASES[what]
    queue = served.open(spec(signature=SIGNATURE))
    request = ModelInferRequest(model_name="m", inputs=case.inputs, raw_input_contents=case.raw)
    for name in case.outputs:
        request.outputs.add(name=name)
    error = refused(served.infer(request))
    assert (error.code, error.message) == (grpc.StatusCode.INVALID_ARGUMENT, case.message)
    assert error.field == re.sub("(put) '(.+)'", r"\1s.\2", case.message.split(":")[0])
    queue.close()
    assert queue.take() is None


@pytest.mark.parametrize(
    ("datatype", "field_name", "element"),
    [("UINT8", "uint_contents", 256), ("UINT16", "uint_contents", 65536), ("INT8", "int_contents", 128)],
)
def test_an_element_out_of_its_range_is_refused(served: Served, datatype: str, field_name: str, element: int) -> None:
    signature = Signature(inputs=(TensorSignature("x", datatype, (-1,)),), outputs=())
    served.open(spec(signature=signature))
    inputs = [tensor("x", datatype, (1,), **{field_name: [element]})]
    error = refused(served.infer(ModelInferRequest(model_name="m", inputs=inputs)))
    assert error.message == f"input 'x': an element is no {datatype}"


def test_a_half_float_that_is_not_raw_is_refused(served: Served) -> None:
    signature = Signature(inputs=(TensorSignature("x", "FP16", (-1,)),), outputs=())
    served.open(spec(signature=signature))
    inputs = [tensor("x", "FP16", (1,), fp32_contents=[1.0])]
    error = refused(served.infer(ModelInferRequest(model_name="m", inputs=inputs)))
    assert error.message == "input 'x': FP16 has no typed contents; send it raw"


def test_a_boolean_byte_is_0_or_1(served: Served) -> None:
    signature = Signature(inputs=(TensorSignature("x", "BOOL", (-1,)),), outputs=())
    served.open(spec(signature=signature))
    request = ModelInferRequest(model_name="m", inputs=[tensor("x", "BOOL", (2,))], raw_input_contents=[b"\x01\x02"])
    assert refused(served.infer(request)).message == "input 'x': a BOOL is the byte 0 or 1"


def test_a_long_name_is_shown_short(served: Served) -> None:
    served.open(spec(signature=SIGNATURE))
    request = ModelInferRequest(model_name="m", inputs=[bare("\n" * 100_000)])
    error = refused(served.infer(request))
    assert error.message.startswith(f"input '{'?' * 64}…': unknown")
    assert len(error.field) < 100


def test_a_long_name_of_an_output_is_shown_short(served: Served) -> None:
    served.open(spec(signature=SIGNATURE))
    request = ModelInferRequest(model_name="m", inputs=[X, N])
    request.outputs.add(name="z" * 100_000)
    assert len(refused(served.infer(request)).field) < 100


def test_what_triton_takes_as_a_boolean_is_no_number(served: Served) -> None:
    served.open()
    request = ModelInferRequest.FromString(raw_infer())
    request.parameters["triton_enable_empty_final_response"].int64_param = 1
    error = refused(served.infer(request))
    assert error.message == "parameters.triton_enable_empty_final_response: true or false is needed"
    assert error.field == "parameters.triton_enable_empty_final_response"


def nested(depth: int) -> bytes:
    """A field no message has, of messages inside each other."""
    message = b""
    for _ in range(depth):
        length = len(message)
        size = bytes([length]) if length < 128 else bytes([length & 0x7F | 0x80, length >> 7])
        message = b"\x52" + size + message  # field 10, length-delimited
    return message


def groups(depth: int) -> bytes:
    """Groups inside each other, in a field no message has."""
    return b"\x53" * depth + b"\x54" * depth


@pytest.mark.parametrize(
    "corrupt",
    {
        "cut short": raw_infer()[:-1],
        "a tag alone": raw_infer() + b"\x0a",
        "a length beyond the end": b"\x0a\xff\x7f",
        "a varint without an end": b"\xff" * 11,
        "field number 0": b"\x02\x00",
        "a wire type that there is not": b"\x0f",
        "a name that is no UTF-8": b"\x0a\x02\xc3\x28",
        "an input's name that is no UTF-8": raw_infer() + b"\x2a\x04\x0a\x02\xc3\x28",
        "an input cut short inside": raw_infer() + b"\x2a\x02\x0a\x7f",
        "text": b"GET / HTTP/1.1\r\n\r\n",
        "150 nested groups": raw_infer() + groups(150),
    }.items(),
    ids=lambda case: case[0],
)
def test_corrupt_bytes_are_told_the_name_of_the_message(served: Served, corrupt: tuple[str, bytes]) -> None:
    served.open()
    error = refused(served.infer(corrupt[1]))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE")
    assert error.message.startswith("inference.ModelInferRequest: ")
    assert served.front.stats().refusals == {"MALFORMED_MESSAGE": 1}


def test_150_nested_messages_in_a_field_nobody_knows_are_not_followed(served: Served) -> None:
    served.open()
    error = refused(served.infer(nested(150)))
    assert error.message == "model: a model's name is needed, got none"


TEXTS = 2**20 + 2


@pytest.mark.parametrize(
    "request_",
    [
        ModelInferRequest(
            model_name="m",
            inputs=[bare(), bare("n", "BYTES", (2, TEXTS // 2))],
            raw_input_contents=[RAW_X, bytes(4 * TEXTS)],
        ),
        ModelInferRequest(
            model_name="m", inputs=[X, tensor("n", "BYTES", (2, TEXTS // 2), bytes_contents=[b""] * TEXTS)]
        ),
    ],
    ids=["raw", "typed"],
)
def test_no_tensor_has_more_than_a_million_texts(make_front: MakeFront, request_: ModelInferRequest) -> None:
    front = make_front(limits=Limits(max_message_bytes=8 << 20))
    with grpc.insecure_channel(front.address) as channel:
        served = Served(front, channel)
        served.open(spec(signature=SIGNATURE))
        error = refused(served.infer(request_))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.message == f"input 'n': at most {2**20} elements that are not raw numbers, got {TEXTS}"
