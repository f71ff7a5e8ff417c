"""Arrays to ModelInfer messages and back, as a caller has them: whatever a server answers, raw or typed, is read.

Not a check of messages, which is the servers' affair: what cannot be read raises whatever numpy or protobuf raise.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from inference.grpc_service_pb2 import InferTensorContents, ModelInferRequest, ModelInferResponse
from services.runtime.front import Array
from services.runtime.tensors import DTYPES, datatype_of, to_raw
from tests.e2e.traffic import infer

Tensor = ModelInferRequest.InferInputTensor | ModelInferResponse.InferOutputTensor


def request(model: str, inputs: Mapping[str, Array]) -> bytes:
    """A ModelInferRequest with raw contents; BYTES elements are `bytes` in object arrays."""
    return infer(model, *((name, datatype_of(values), values.shape, to_raw(values)) for name, values in inputs.items()))


def inputs_of(message: bytes) -> dict[str, Array]:
    """The arrays of a ModelInferRequest."""
    parsed = ModelInferRequest.FromString(message)
    return _arrays(parsed.inputs, parsed.raw_input_contents)


def outputs_of(message: bytes) -> dict[str, Array]:
    """The arrays of a ModelInferResponse."""
    parsed = ModelInferResponse.FromString(message)
    return _arrays(parsed.outputs, parsed.raw_output_contents)


def answer(model: str, outputs: Mapping[str, Array]) -> bytes:
    """A ModelInferResponse with raw contents."""
    response = ModelInferResponse(model_name=model)
    for name, values in outputs.items():
        response.outputs.add(name=name, datatype=datatype_of(values), shape=values.shape)
        response.raw_output_contents.append(to_raw(values))
    return response.SerializeToString()


def as_feeds(inputs: Mapping[str, Array]) -> dict[str, Array]:
    """As ONNX Runtime takes them: texts as str."""
    return {name: _as_text(values) if values.dtype == np.object_ else values for name, values in inputs.items()}


def _as_text(values: Array) -> Array:
    texts: list[bytes] = values.ravel().tolist()
    return np.array([text.decode() for text in texts], np.object_).reshape(values.shape)


def _arrays(tensors: Iterable[Tensor], raws: Sequence[bytes]) -> dict[str, Array]:
    return {
        tensor.name: _from_raw(tensor, raws[place]) if raws else _from_contents(tensor)
        for place, tensor in enumerate(tensors)
    }


def _from_raw(tensor: Tensor, raw: bytes) -> Array:
    if tensor.datatype != "BYTES":
        return np.frombuffer(raw, DTYPES[tensor.datatype]).reshape(tensor.shape)
    elements, position = [], 0
    while position < len(raw):
        end = position + 4 + int.from_bytes(raw[position : position + 4], "little")
        elements.append(raw[position + 4 : end])
        position = end
    return np.array(elements, np.object_).reshape(tensor.shape)


def _from_contents(tensor: Tensor) -> Array:
    contents: InferTensorContents = tensor.contents
    _, elements = contents.ListFields()[0]
    return np.array(elements, DTYPES[tensor.datatype]).reshape(tensor.shape)
