"""What is wrong with a ModelInfer request, found before a single element is read.

Names, datatypes, shapes and counts are compared with the model's signature; each fault has one message, which names the
tensor, what was expected and what came. Shapes are only compared here, never allocated.
"""

from collections.abc import Sequence
from typing import TypeAlias

from inference.grpc_service_pb2 import ModelInferRequest
from services.runtime.errors import ServingError, empty_request, invalid_input, shown
from services.runtime.front import Array, Signature, TensorSignature

InputTensor: TypeAlias = ModelInferRequest.InferInputTensor

MAX_RANK = 8


def wrong(name: str, what: str) -> ServingError:
    """The input of that name is at fault."""
    return invalid_input(f"input '{shown(name)}': {what}", field=f"inputs.{shown(name)}")


def check_names(request: ModelInferRequest, signature: Signature) -> None:
    """Each input of the signature once and nothing else."""
    expected = [tensor.name for tensor in signature.inputs]
    seen: set[str] = set()
    for tensor in request.inputs:
        if tensor.name not in expected:
            raise wrong(tensor.name, f"unknown; the model reads {_listed(expected)}")
        if tensor.name in seen:
            raise wrong(tensor.name, "given twice")
        seen.add(tensor.name)
    for name in expected:
        if name not in seen:
            raise wrong(name, "missing")


def check_raw(request: ModelInferRequest) -> None:
    """Of a raw request: one element of raw contents an input, and no typed contents beside them."""
    needed, got = len(request.inputs), len(request.raw_input_contents)
    if got != needed:
        raise invalid_input(
            f"raw_input_contents: one an input is needed, {needed}, got {got}",
            field="raw_input_contents",
        )
    for tensor in request.inputs:
        if tensor.HasField("contents"):
            raise wrong(tensor.name, "has both raw and typed contents; send one of them")


def checked_shape(tensor: InputTensor, expected: TensorSignature) -> tuple[int, ...]:
    """The tensor's shape, which fits the signature; every dimension is at least 1."""
    shape = tuple(tensor.shape)
    if tensor.datatype != expected.datatype:
        raise wrong(tensor.name, f"datatype {expected.datatype} is needed, got {shown(tensor.datatype) or 'none'}")
    if len(shape) > MAX_RANK:
        raise wrong(tensor.name, f"at most {MAX_RANK} dimensions, got {len(shape)}")
    fits = len(shape) == len(expected.shape) and all(
        got > 0 and want in (-1, got) for got, want in zip(shape[1:], expected.shape[1:], strict=True)
    )
    if not fits or shape[0] < 0:
        raise wrong(tensor.name, f"shape {list(expected.shape)} is needed (-1 is any but 0), got {list(shape)}")
    if shape[0] == 0:
        raise empty_request(f"inputs.{shown(tensor.name)}", f"input '{shown(tensor.name)}'")
    return shape


def requested_outputs(request: ModelInferRequest, signature: Signature) -> tuple[str, ...]:
    """The outputs that are asked for, in that order: all where none is named."""
    known = tuple(tensor.name for tensor in signature.outputs)
    requested = tuple(output.name for output in request.outputs)
    for place, name in enumerate(requested):
        if name not in known:
            raise _wrong_output(name, f"unknown; the model answers {_listed(known)}")
        if name in requested[:place]:  # there are at most as many as the model has, or one is found here soon
            raise _wrong_output(name, "asked for twice")
    return requested or known


def row_count(inputs: dict[str, Array]) -> int:
    """How many rows the inputs have, all the same."""
    counts = {name: len(array) for name, array in inputs.items()}
    if len(set(counts.values())) != 1:
        rows = ", ".join(f"'{name}' {count}" for name, count in counts.items())
        raise invalid_input(
            f"inputs: the first dimension counts rows and must be the same in all, got {rows}", field="inputs"
        )
    return min(counts.values())


def _wrong_output(name: str, what: str) -> ServingError:
    return invalid_input(f"output '{shown(name)}': {what}", field=f"outputs.{shown(name)}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names[:8]) + (" …" if len(names) > 8 else "")


def priority(request: ModelInferRequest) -> int:
    """What the parameter `priority` asks for: 1 for the first level, 0 for the model's own."""
    if "priority" not in request.parameters:
        return 0
    parameter = request.parameters["priority"]
    kind = parameter.WhichOneof("parameter_choice")
    value = parameter.uint64_param if kind == "uint64_param" else parameter.int64_param
    if kind not in ("int64_param", "uint64_param") or value < 0:
        text = "parameters.priority: a whole number is needed, 1 for the first level or 0 for the model's own"
        raise invalid_input(text, "parameters.priority")
    return value


def check_empty_final_response(request: ModelInferRequest) -> None:
    """Every request has one answer here, which is its last: what is asked for is so already, and only has to be a bool.

    Triton's parameter for models that answer several times and end with an empty answer.
    """
    name = "triton_enable_empty_final_response"
    if name in request.parameters and request.parameters[name].WhichOneof("parameter_choice") != "bool_param":
        raise invalid_input(f"parameters.{name}: true or false is needed", f"parameters.{name}")
