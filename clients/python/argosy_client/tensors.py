"""Numpy arrays as tensors of the Open Inference Protocol v2, raw, and back.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol: little-endian, row-major; a BYTES
element is its length in four bytes and then its bytes.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import TypeAlias

import grpc
import numpy as np
from numpy.typing import NDArray

from argosy_client.errors import ArgosyError, unusable_input, utf8
from inference.grpc_service_pb2 import ModelInferRequest, ModelInferResponse, ModelStreamInferResponse

Array: TypeAlias = NDArray[np.generic]

_DATATYPES = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
_NAMES = {dtype: name for name, dtype in _DATATYPES.items()}


def infer_request(model: str, version: str, inputs: Mapping[str, Array]) -> ModelInferRequest:
    """The arrays by input name, each [rows, ...]. Raises InvalidInputError for a dtype that the protocol lacks."""
    request = ModelInferRequest(model_name=model, model_version=version)
    for name, array in inputs.items():
        datatype, data = _raw(name, array)
        request.inputs.add(name=name, datatype=datatype, shape=array.shape)
        request.raw_input_contents.append(data)
    return request


def arrays_of(response: ModelInferResponse) -> dict[str, Array]:
    """The outputs by name; BYTES as an object array of `bytes`. They are views of the reply: read-only."""
    tensors = zip(response.outputs, response.raw_output_contents, strict=True)
    return {tensor.name: _array(tensor.datatype, tuple(tensor.shape), data) for tensor, data in tensors}


def streamed(reply: ModelStreamInferResponse) -> dict[str, Array]:
    """The outputs in a stream's message. Raises ArgosyError for an error in its place, which has no status."""
    if reply.error_message:
        raise ArgosyError(grpc.StatusCode.UNKNOWN, reply.error_message)
    return arrays_of(reply.infer_response)


def _raw(name: str, array: Array) -> tuple[str, bytes]:
    if array.dtype.kind in "OUS":
        return "BYTES", b"".join(_counted(name, element) for element in array.ravel())
    datatype = _NAMES.get(array.dtype.newbyteorder("<"))
    if datatype is None:
        raise unusable_input(f"the protocol has no {array.dtype}", f"inputs.{name}")
    return datatype, np.ascontiguousarray(array, _DATATYPES[datatype]).tobytes()


def _counted(name: str, element: object) -> bytes:
    data = utf8(element, f"inputs.{name}") if isinstance(element, str) else element
    if not isinstance(data, bytes):
        raise unusable_input(f"expected str or bytes elements, got {type(element).__name__}", f"inputs.{name}")
    return struct.pack("<I", len(data)) + data


def _array(datatype: str, shape: tuple[int, ...], data: bytes) -> Array:
    if datatype == "BYTES":
        elements = np.empty(int(np.prod(shape)), object)
        elements[:] = list(_elements(data))
        return elements.reshape(shape)
    return np.frombuffer(data, _DATATYPES[datatype]).reshape(shape)


def _elements(data: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        (length,) = struct.unpack_from("<I", data, start)
        yield data[start + 4 : start + 4 + length]
        start += 4 + length
