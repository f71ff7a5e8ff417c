"""The methods that ask no typed question: models, health, tensors."""

from collections.abc import Iterable

import grpc
import numpy as np
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from numpy.typing import NDArray

from argosy.v1 import model_pb2
from argosy_client.errors import ArgosyError
from argosy_client.questions import Method
from inference.grpc_service_pb2 import ModelInferRequest, ModelInferResponse, ModelStreamInferResponse

LIST_MODELS = Method("/argosy.v1.ModelService/ListModels", model_pb2.ListModelsRequest, model_pb2.ListModelsResponse)
GET_MODEL = Method("/argosy.v1.ModelService/GetModel", model_pb2.GetModelRequest, model_pb2.GetModelResponse)
WATCH_MODELS = Method(
    "/argosy.v1.ModelService/WatchModels", model_pb2.WatchModelsRequest, model_pb2.WatchModelsResponse
)
HEALTH = Method("/grpc.health.v1.Health/Check", HealthCheckRequest, HealthCheckResponse)
MODEL_INFER = Method("/inference.GRPCInferenceService/ModelInfer", ModelInferRequest, ModelInferResponse)
STREAM_INFER = Method("/inference.GRPCInferenceService/ModelStreamInfer", ModelInferRequest, ModelStreamInferResponse)


def list_models(model: str) -> model_pb2.ListModelsRequest:
    return model_pb2.ListModelsRequest(model=model)


def watch_models(model: str) -> model_pb2.WatchModelsRequest:
    return model_pb2.WatchModelsRequest(model=model)


def get_model(model: str, version: str) -> model_pb2.GetModelRequest:
    return model_pb2.GetModelRequest(model=model, version=version)


def health(name: str) -> HealthCheckRequest:
    return HealthCheckRequest(service=name)


def streamed(reply: ModelStreamInferResponse) -> ModelInferResponse:
    """The answer in a stream's message. Raises ArgosyError for an error in its place, which has no status."""
    if reply.error_message:
        raise ArgosyError(grpc.StatusCode.UNKNOWN, reply.error_message)
    return reply.infer_response


def matrix(vectors: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """float32[vectors, width]."""
    rows = list(vectors)
    return np.stack(rows) if rows else np.empty((0, 0), np.float32)
