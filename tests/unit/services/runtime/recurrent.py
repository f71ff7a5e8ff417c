"""A graph that keeps a state, and its sequences asked for as Triton's clients ask."""

import numpy as np
from onnx import TensorProto, helper

from inference.grpc_service_pb2 import ModelInferRequest, ModelInferResponse
from tests.unit.services.runtime.served import MODEL_INFER, Served
from tests.unit.services.runtime.tiny import model_of, tensor

MANIFEST = {
    "inputs": [tensor("FP32", -1, 1), tensor("FP32", -1, 1, name="sum")],
    "outputs": [
        tensor("FP32", -1, 1, name="y") | {"role": "OUTPUT_ROLE_VALUE"},
        tensor("FP32", -1, 1, name="new_sum") | {"role": "OUTPUT_ROLE_STATE"},
    ],
    "states": [{"input": "sum", "output": "new_sum"}],
}


def summing_graph() -> bytes:
    """y = the sum of all x of the sequence, FP32 [N, 1]."""
    nodes = [helper.make_node("Add", ["x", "sum"], ["new_sum"]), helper.make_node("Identity", ["new_sum"], ["y"])]

    def value(name: str) -> object:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 1])

    return model_of(nodes, [value("x"), value("sum")], [value("y"), value("new_sum")], [])


def step_request(
    x: float, sequence: int | str | None = 1, *, start: bool = False, end: bool = False, model: str = "tiny"
) -> ModelInferRequest:
    request = ModelInferRequest(model_name=model)
    request.inputs.add(name="x", datatype="FP32", shape=(1, 1))
    request.raw_input_contents.append(np.array([[x]], "<f4").tobytes())
    if isinstance(sequence, str):
        request.parameters["sequence_id"].string_param = sequence
    elif sequence is not None:
        request.parameters["sequence_id"].int64_param = sequence
    request.parameters["sequence_start"].bool_param = start
    request.parameters["sequence_end"].bool_param = end
    return request


def step(
    served: Served,
    x: float,
    sequence: int | str | None = 1,
    *,
    start: bool = False,
    end: bool = False,
    model: str = "tiny",
) -> float:
    """The y of one step. Raises grpc.RpcError."""
    return ask(served, step_request(x, sequence, start=start, end=end, model=model))


def ask(served: Served, request: ModelInferRequest) -> float:
    message = served.channel.unary_unary(MODEL_INFER)(request.SerializeToString(), 20)
    (raw,) = ModelInferResponse.FromString(message).raw_output_contents
    return float(np.frombuffer(raw, "<f4")[0])
