"""The methods of protos/ by name: what any of them is called with, and what it answers."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from argosy.v1 import model_pb2, tabular_pb2, text_pb2, vision_pb2
from inference import grpc_service_pb2

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


@dataclass(frozen=True, slots=True)
class Method(Generic[Request, Response]):
    """One RPC by its path and its messages."""

    path: str
    request: type[Request]
    response: type[Response]


def named_version(request: Message) -> str:
    """The version that a request names; '' where it names none."""
    return str(getattr(request, "version", "") or getattr(request, "model_version", ""))


CLASSIFY_IMAGES = Method(
    "/argosy.v1.VisionService/Classify",
    vision_pb2.VisionServiceClassifyRequest,
    vision_pb2.VisionServiceClassifyResponse,
)
DETECT = Method(
    "/argosy.v1.VisionService/Detect", vision_pb2.VisionServiceDetectRequest, vision_pb2.VisionServiceDetectResponse
)
EMBED_IMAGES = Method(
    "/argosy.v1.VisionService/Embed", vision_pb2.VisionServiceEmbedRequest, vision_pb2.VisionServiceEmbedResponse
)
CLASSIFY_TEXTS = Method(
    "/argosy.v1.TextService/Classify", text_pb2.TextServiceClassifyRequest, text_pb2.TextServiceClassifyResponse
)
EMBED_TEXTS = Method(
    "/argosy.v1.TextService/Embed", text_pb2.TextServiceEmbedRequest, text_pb2.TextServiceEmbedResponse
)
TAG = Method("/argosy.v1.TextService/Tag", text_pb2.TextServiceTagRequest, text_pb2.TextServiceTagResponse)
PREDICT = Method(
    "/argosy.v1.TabularService/Predict",
    tabular_pb2.TabularServicePredictRequest,
    tabular_pb2.TabularServicePredictResponse,
)
LIST_MODELS = Method("/argosy.v1.ModelService/ListModels", model_pb2.ListModelsRequest, model_pb2.ListModelsResponse)
GET_MODEL = Method("/argosy.v1.ModelService/GetModel", model_pb2.GetModelRequest, model_pb2.GetModelResponse)
WATCH_MODELS = Method(
    "/argosy.v1.ModelService/WatchModels", model_pb2.WatchModelsRequest, model_pb2.WatchModelsResponse
)
HEALTH = Method("/grpc.health.v1.Health/Check", HealthCheckRequest, HealthCheckResponse)
MODEL_INFER = Method(
    "/inference.GRPCInferenceService/ModelInfer",
    grpc_service_pb2.ModelInferRequest,
    grpc_service_pb2.ModelInferResponse,
)
STREAM_INFER = Method(
    "/inference.GRPCInferenceService/ModelStreamInfer",
    grpc_service_pb2.ModelInferRequest,
    grpc_service_pb2.ModelStreamInferResponse,
)
SERVER_METADATA = Method(
    "/inference.GRPCInferenceService/ServerMetadata",
    grpc_service_pb2.ServerMetadataRequest,
    grpc_service_pb2.ServerMetadataResponse,
)
