"""What the brain hashes a call by that came without the header."""

import pytest

from argosy.v1.model_pb2 import GetModelRequest
from inference.grpc_service_pb2 import InferParameter, ModelInferRequest
from services.router.methods import model_methods
from services.router.sequences import sequence_header

MODEL_INFER = model_methods()["/inference.GRPCInferenceService/ModelInfer"]
GET_MODEL = model_methods()["/argosy.v1.ModelService/GetModel"]


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (InferParameter(int64_param=7), "7"),
        (InferParameter(uint64_param=1 << 63), str(1 << 63)),
        (InferParameter(string_param="a b/é"), "a%20b%2F%C3%A9"),
        (InferParameter(string_param="x" * 600), "x" * 512),
        (InferParameter(string_param=""), "-"),
        (InferParameter(int64_param=-1), "-"),
        (InferParameter(bool_param=True), "-"),
    ],
)
def test_a_step_is_hashed_by_its_sequence(parameter: InferParameter, value: str) -> None:
    request = ModelInferRequest(model_name="small")
    request.parameters["sequence_id"].CopyFrom(parameter)
    assert sequence_header(MODEL_INFER, request.SerializeToString()) == value


def test_what_is_no_step_has_a_header_all_the_same() -> None:
    assert sequence_header(MODEL_INFER, b"") == sequence_header(GET_MODEL, GetModelRequest().SerializeToString()) == "-"
