"""ModelInfer messages to arrays and back, checked against the model's signature.

A message is believed in nothing: names, datatypes, shapes and lengths are compared with the signature before a single
element is read, and the sizes are multiplied as Python integers, so that no shape overflows or allocates. Contents are
raw or typed; a reply is raw where its request was, or where one of its outputs can be nothing else. BYTES elements are
`bytes` in object arrays.

Protocol: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from inference.grpc_service_pb2 import InferTensorContents, ModelInferRequest, ModelInferResponse
from services.runtime.front import Array, Signature
from services.runtime.messages import parse
from services.runtime.tensor_checks import (
    InputTensor,
    check_empty_final_response,
    check_names,
    check_raw,
    checked_shape,
    priority,
    requested_outputs,
    row_count,
    wrong,
)

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
_NAMES: Mapping[np.dtype[np.generic], str] = {dtype: name for name, dtype in DTYPES.items()}

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

# Of one tensor: an empty text takes two bytes in a message and some hundred as an object, a small number in typed
# contents one byte and up to eight in an array.
MAX_STRINGS, MAX_TYPED_NUMBERS = 1 << 20, 1 << 24

# What the elements of those fields are, before they are narrowed to the datatype.
_FIELD_DTYPE: Mapping[str, np.dtype[np.generic]] = {
    "bool_contents": np.dtype(np.bool_),
    "int_contents": np.dtype(np.int32),
    "int64_contents": np.dtype(np.int64),
    "uint_contents": np.dtype(np.uint32),
    "uint64_contents": np.dtype(np.uint64),
    "fp32_contents": np.dtype(np.float32),
    "fp64_contents": np.dtype(np.float64),
}


@dataclass(frozen=True, slots=True)
class InferCall:
    """A ModelInfer request that is as the signature wants it."""

    request_id: str
    inputs: Mapping[str, Array]
    row_count: int
    requested_outputs: tuple[str, ...]
    raw: bool
    priority: int = 0  # what the parameter of that name asks for, 0 for nothing

    @property
    def trailing_shapes(self) -> tuple[tuple[int, ...], ...]:
        """What two calls must share to run as one batch, in the order of the signature."""
        return tuple(array.shape[1:] for array in self.inputs.values())

    def split(self, rows: int) -> tuple["InferCall", "InferCall"]:
        """The call for its first `rows` rows, fewer than it has, and the one for the rest."""
        first = {name: array[:rows] for name, array in self.inputs.items()}
        rest = {name: array[rows:] for name, array in self.inputs.items()}
        return replace(self, inputs=first, row_count=rows), replace(self, inputs=rest, row_count=self.row_count - rows)


def parse_infer(message: bytes, signature: Signature) -> InferCall:
    """Read a ModelInferRequest. Raises ServingError (INVALID_INPUT) that names the tensor at fault."""
    request = parse(ModelInferRequest, message)
    raw = len(request.raw_input_contents) > 0
    check_names(request, signature)
    if raw:
        check_raw(request)
    given = {tensor.name: (tensor, index) for index, tensor in enumerate(request.inputs)}
    inputs: dict[str, Array] = {}
    for expected in signature.inputs:
        tensor, index = given[expected.name]
        shape = checked_shape(tensor, expected)
        if raw:
            inputs[expected.name] = _from_raw(tensor, shape, request.raw_input_contents[index])
        else:
            inputs[expected.name] = _from_contents(tensor, shape)
    outputs = requested_outputs(request, signature)
    check_empty_final_response(request)
    return InferCall(request.id, inputs, row_count(inputs), outputs, raw, priority(request))


def gather(calls: Sequence[InferCall]) -> dict[str, Array]:
    """The rows of all calls, in order, as one contiguous array an input."""
    if len(calls) == 1:
        return dict(calls[0].inputs)
    return {name: np.concatenate([call.inputs[name] for call in calls]) for name in calls[0].inputs}


def encode_infer(
    call: InferCall, model: str, version: str, outputs: Mapping[str, Array], remarks: Iterable[str] = ()
) -> bytes:
    """The ModelInferResponse to one call from its own rows of the outputs; each of `remarks` is a parameter."""
    response = ModelInferResponse(model_name=model, model_version=version, id=call.request_id)
    for remark in remarks:
        response.parameters[remark].bool_param = True
    arrays = {name: outputs[name] for name in call.requested_outputs}
    datatypes = {name: datatype_of(array) for name, array in arrays.items()}
    # All or none: whoever reads raw contents by an output's place would take those of another.
    raw = call.raw or not set(datatypes.values()) <= _CONTENTS_FIELD.keys()
    for name, array in arrays.items():
        tensor = response.outputs.add(name=name, datatype=datatypes[name], shape=array.shape)
        if raw:
            response.raw_output_contents.append(to_raw(array))
        else:
            _fill_contents(tensor.contents, datatypes[name], array)
    return response.SerializeToString()


def datatype_of(array: Array) -> str:
    """The protocol's word for an array's dtype. Raises ValueError where it has none."""
    if (name := _NAMES.get(array.dtype)) is None:
        raise ValueError(f"the Open Inference Protocol has no word for {array.dtype}")
    return name


def to_raw(array: Array) -> bytes:
    """Little-endian bytes in row-major order; BYTES elements each after their length as uint32."""
    if array.dtype != np.object_:
        return array.tobytes()
    parts: list[bytes] = []
    for element in cast("list[bytes]", array.ravel().tolist()):
        parts += (len(element).to_bytes(4, "little"), element)
    return b"".join(parts)


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
        raise wrong(tensor.name, f"shape {list(shape)} {tensor.datatype} needs {needed} bytes, got {len(raw)}")
    if tensor.datatype == "BOOL" and raw.strip(b"\x00\x01"):
        raise wrong(tensor.name, "a BOOL is the byte 0 or 1")
    return np.frombuffer(raw, dtype).reshape(shape)


def _bytes_from_raw(name: str, shape: tuple[int, ...], raw: bytes) -> Array:
    count = _element_count(shape)
    elements: list[bytes] = []
    position = 0
    while position < len(raw) and len(elements) <= count:
        end = position + 4 + int.from_bytes(raw[position : position + 4], "little")
        if position + 4 > len(raw) or end > len(raw):
            raise wrong(name, f"element {len(elements)} is cut short")
        elements.append(raw[position + 4 : end])
        position = end
    if len(elements) != count:
        got = len(elements) if len(elements) < count else "more"
        raise wrong(name, f"shape {list(shape)} BYTES needs {count} elements, got {got}")
    _check_count(name, count, MAX_STRINGS)
    return _object_array(elements).reshape(shape)


def _from_contents(tensor: InputTensor, shape: tuple[int, ...]) -> Array:
    if tensor.datatype not in _CONTENTS_FIELD:
        raise wrong(tensor.name, f"{tensor.datatype} has no typed contents; send it raw")
    field = _CONTENTS_FIELD[tensor.datatype]
    for descriptor, _ in tensor.contents.ListFields():
        if descriptor.name != field:
            raise wrong(tensor.name, f"{tensor.datatype} belongs into {field}, got {descriptor.name}")
    elements = getattr(tensor.contents, field)
    needed = _element_count(shape)
    if len(elements) != needed:
        raise wrong(tensor.name, f"shape {list(shape)} {tensor.datatype} needs {needed} elements, got {len(elements)}")
    _check_count(tensor.name, needed, MAX_STRINGS if tensor.datatype == "BYTES" else MAX_TYPED_NUMBERS)
    if tensor.datatype == "BYTES":
        return _object_array(elements).reshape(shape)
    return _narrowed(tensor, np.array(elements, _FIELD_DTYPE[field])).reshape(shape)


def _check_count(name: str, count: int, most: int) -> None:
    """Elements that would take many times what they take in the message."""
    if count > most:
        raise wrong(name, f"at most {most} elements that are not raw numbers, got {count}")


def _narrowed(tensor: InputTensor, wide: Array) -> Array:
    """The elements in their own dtype: the fields for integers are wider than most integers."""
    array = wide.astype(DTYPES[tensor.datatype], copy=False)
    if array.dtype.kind in "iu" and not np.array_equal(array, wide):
        raise wrong(tensor.name, f"an element is no {tensor.datatype}")
    return array


def _fill_contents(contents: InferTensorContents, datatype: str, array: Array) -> None:
    getattr(contents, _CONTENTS_FIELD[datatype]).extend(array.ravel().tolist())


def _object_array(elements: Sequence[bytes]) -> Array:
    array = np.empty(len(elements), np.object_)
    array[:] = elements
    return array
