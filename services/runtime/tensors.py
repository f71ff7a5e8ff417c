"""ModelInfer messages to arrays and back, checked against the model's signature.

A message is believed in nothing: names, datatypes, shapes and lengths are compared with the signature before a single
element is read, and the sizes are multiplied as Python integers, so that no shape overflows or allocates. Contents are
raw or typed; a reply is raw where its request was. BYTES elements are `bytes` in object arrays.

Protocol: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from google.protobuf.message import DecodeError

from inference.grpc_service_pb2 import InferTensorContents, ModelInferRequest, ModelInferResponse
from services.runtime.errors import ServingError, empty_request, invalid_input, shown
from services.runtime.front import Array, Signature, TensorSignature
from services.runtime.wire import malformed

InputTensor = ModelInferRequest.InferInputTensor

MAX_RANK = 8
MODEL_INFER_REQUEST = "inference.ModelInferRequest"

DTYPES: Mapping[str, np.dtype[np.generic]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(np.object_),
}

# The field of InferTensorContents that carries a datatype; FP16 has none and travels raw only.
_CONTENTS_FIELD: Mapping[str, str] = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


@dataclass(frozen=True, slots=True)
class InferCall:
    """A ModelInfer request that is as the signature wants it."""

    request_id: str
    inputs: Mapping[str, Array]
    row_count: int
    requested_outputs: tuple[str, ...]
    raw: bool

    @property
    def trailing_shapes(self) -> tuple[tuple[int, ...], ...]:
        """What two calls must share to run as one batch, in the order of the signature."""
        return tuple(array.shape[1:] for array in self.inputs.values())


def parse_infer(message: bytes, signature: Signature) -> InferCall:
    """Read a ModelInferRequest. Raises ServingError (INVALID_INPUT) that names the tensor at fault."""
    try:
        request = ModelInferRequest.FromString(message)
    except DecodeError:
        raise malformed(MODEL_INFER_REQUEST) from None
    raw = len(request.raw_input_contents) > 0
    _check_names(request, signature)
    if raw:
        _check_raw(request)
    given = {tensor.name: (tensor, index) for index, tensor in enumerate(request.inputs)}
    inputs: dict[str, Array] = {}
    for expected in signature.inputs:
        tensor, index = given[expected.name]
        shape = _checked_shape(tensor, expected)
        if raw:
            inputs[expected.name] = _from_raw(tensor, shape, request.raw_input_contents[index])
        else:
            inputs[expected.name] = _from_contents(tensor, shape)
    outputs = _requested_outputs(request, signature)
    return InferCall(request.id, inputs, _row_count(inputs), outputs, raw)


def gather(calls: Sequence[InferCall]) -> dict[str, Array]:
    """The rows of all calls, in order, as one contiguous array an input."""
    if len(calls) == 1:
        return dict(calls[0].inputs)
    return {name: np.concatenate([call.inputs[name] for call in calls]) for name in calls[0].inputs}


def encode_infer(call: InferCall, model: str, version: str, outputs: Mapping[str, Array]) -> bytes:
    """The ModelInferResponse to one call from its own rows of the outputs."""
    response = ModelInferResponse(model_name=model, model_version=version, id=call.request_id)
    for name in call.requested_outputs:
        array = outputs[name]
        datatype = datatype_of(array)
        tensor = response.outputs.add(name=name, datatype=datatype, shape=array.shape)
        if call.raw or datatype not in _CONTENTS_FIELD:
            response.raw_output_contents.append(to_raw(array))
        else:
            _fill_contents(tensor.contents, datatype, array)
    return response.SerializeToString()


def datatype_of(array: Array) -> str:
    """The protocol's word for an array's dtype."""
    return next(name for name, dtype in DTYPES.items() if dtype == array.dtype)


def to_raw(array: Array) -> bytes:
    """Little-endian bytes in row-major order; BYTES elements each after their length as uint32."""
    if array.dtype != np.object_:
        return array.tobytes()
    parts: list[bytes] = []
    for element in cast("list[bytes]", array.ravel().tolist()):
        parts += (len(element).to_bytes(4, "little"), element)
    return b"".join(parts)


def _check_names(request: ModelInferRequest, signature: Signature) -> None:
    expected = [tensor.name for tensor in signature.inputs]
    seen: set[str] = set()
    for tensor in request.inputs:
        if tensor.name not in expected:
            raise _wrong(tensor.name, f"unknown; the model reads {_listed(expected)}")
        if tensor.name in seen:
            raise _wrong(tensor.name, "given twice")
        seen.add(tensor.name)
    for name in expected:
        if name not in seen:
            raise _wrong(name, "missing")


def _check_raw(request: ModelInferRequest) -> None:
    needed, got = len(request.inputs), len(request.raw_input_contents)
    if got != needed:
        raise invalid_input(
            f"raw_input_contents: one an input is needed, {needed}, got {got}",
            field="raw_input_contents",
        )
    for tensor in request.inputs:
        if tensor.HasField("contents"):
            raise _wrong(tensor.name, "has both raw and typed contents; send one of them")


def _checked_shape(tensor: InputTensor, expected: TensorSignature) -> tuple[int, ...]:
    shape = tuple(tensor.shape)
    if tensor.datatype != expected.datatype:
        raise _wrong(tensor.name, f"datatype {expected.datatype} is needed, got {shown(tensor.datatype) or 'none'}")
    if len(shape) > MAX_RANK:
        raise _wrong(tensor.name, f"at most {MAX_RANK} dimensions, got {len(shape)}")
    fits = len(shape) == len(expected.shape) and all(
        got >= 0 and want in (-1, got) for got, want in zip(shape[1:], expected.shape[1:], strict=True)
    )
    if not fits or shape[0] < 0:
        raise _wrong(tensor.name, f"shape {list(expected.shape)} is needed (-1 is any), got {list(shape)}")
    if shape[0] == 0:
        raise empty_request(f"input '{shown(tensor.name)}'")
    return shape


def _element_count(shape: Iterable[int]) -> int:
    count = 1
    for dimension in shape:
        count *= dimension
    return count


def _from_raw(tensor: InputTensor, shape: tuple[int, ...], raw: bytes) -> Array:
    if tensor.datatype == "BYTES":
        return _bytes_from_raw(tensor.name, shape, raw)
    dtype = DTYPES[tensor.datatype]
    needed = _element_count(shape) * dtype.itemsize
    if needed != len(raw):
        raise _wrong(tensor.name, f"shape {list(shape)} {tensor.datatype} needs {needed} bytes, got {len(raw)}")
    if tensor.datatype == "BOOL" and raw.strip(b"\x00\x01"):
        raise _wrong(tensor.name, "a BOOL is the byte 0 or 1")
    return np.frombuffer(raw, dtype).reshape(shape)


def _bytes_from_raw(name: str, shape: tuple[int, ...], raw: bytes) -> Array:
    count = _element_count(shape)
    elements: list[bytes] = []
    position = 0
    while position < len(raw) and len(elements) <= count:
        end = position + 4 + int.from_bytes(raw[position : position + 4], "little")
        if position + 4 > len(raw) or end > len(raw):
            raise _wrong(name, f"element {len(elements)} is cut short")
        elements.append(raw[position + 4 : end])
        position = end
    if len(elements) != count or position != len(raw):
        raise _wrong(name, f"shape {list(shape)} BYTES needs {count} elements, got {len(elements)} or more")
    return _object_array(elements).reshape(shape)


def _from_contents(tensor: InputTensor, shape: tuple[int, ...]) -> Array:
    if tensor.datatype not in _CONTENTS_FIELD:
        raise _wrong(tensor.name, f"{tensor.datatype} has no typed contents; send it raw")
    field = _CONTENTS_FIELD[tensor.datatype]
    for descriptor, _ in tensor.contents.ListFields():
        if descriptor.name != field:
            raise _wrong(tensor.name, f"{tensor.datatype} belongs into {field}, got {descriptor.name}")
    elements = getattr(tensor.contents, field)
    needed = _element_count(shape)
    if len(elements) != needed:
        raise _wrong(tensor.name, f"shape {list(shape)} {tensor.datatype} needs {needed} elements, got {len(elements)}")
    if tensor.datatype == "BYTES":
        return _object_array(elements).reshape(shape)
    try:
        return np.array(elements, DTYPES[tensor.datatype]).reshape(shape)
    except OverflowError:
        raise _wrong(tensor.name, f"an element is no {tensor.datatype}") from None


def _requested_outputs(request: ModelInferRequest, signature: Signature) -> tuple[str, ...]:
    known = tuple(tensor.name for tensor in signature.outputs)
    requested = tuple(output.name for output in request.outputs)
    for name in requested:
        if name not in known:
            raise invalid_input(
                f"output '{shown(name)}': unknown; the model answers {_listed(known)}", field=f"outputs.{name}"
            )
    if len(set(requested)) != len(requested):
        raise invalid_input("outputs: one is asked for twice", field="outputs")
    return requested or known


def _row_count(inputs: Mapping[str, Array]) -> int:
    counts = {name: len(array) for name, array in inputs.items()}
    if len(set(counts.values())) != 1:
        rows = ", ".join(f"'{name}' {count}" for name, count in counts.items())
        raise invalid_input(
            f"inputs: the first dimension counts rows and must be the same in all, got {rows}", field="inputs"
        )
    return min(counts.values())


def _fill_contents(contents: InferTensorContents, datatype: str, array: Array) -> None:
    getattr(contents, _CONTENTS_FIELD[datatype]).extend(array.ravel().tolist())


def _object_array(elements: Sequence[bytes]) -> Array:
    array = np.empty(len(elements), np.object_)
    array[:] = elements
    return array


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names[:8]) + (" …" if len(names) > 8 else "")


def _wrong(name: str, what: str) -> ServingError:
    return invalid_input(f"input '{shown(name)}': {what}", field=f"inputs.{shown(name)}")
