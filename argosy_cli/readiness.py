"""Waiting until a fleet can be asked: each process by its health, the router by requests that come back.

grpc.health.v1's Watch and ModelService's WatchModels push every change, so nothing is polled. A router that serves may
not have heard of every model yet, nor its proxy have found the endpoints healthy: the fleet is ready when a request for
each model that a service has ready is answered through the router.
"""

import json
from collections.abc import Iterable
from typing import TypeAlias

import grpc
from grpc_health.v1 import health_pb2

from argosy.v1 import model_pb2
from argosy.v1.model_pb2_grpc import ModelServiceStub
from argosy_cli.client import CHANNEL_OPTIONS, routed
from argosy_cli.errors import CliError

ModelVersion: TypeAlias = tuple[str, str]

# About seven seconds in all; gRPC allows no more than five attempts.
_RETRY_POLICY = {
    "maxAttempts": 5,
    "initialBackoff": "0.2s",
    "maxBackoff": "5s",
    "backoffMultiplier": 3,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
_RETRIED = {"service": "argosy.v1.ModelService", "method": "GetModel"}
_RETRY = (
    "grpc.service_config",
    json.dumps({"methodConfig": [{"name": [_RETRIED], "retryPolicy": _RETRY_POLICY}]}),
)


async def wait_until_serving(name: str, address: str) -> None:
    """Return once the health of the process is SERVING. Raises CliError where it goes away."""
    async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        watch = channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            async for response in watch(health_pb2.HealthCheckRequest(), wait_for_ready=True):
                if response.status == health_pb2.HealthCheckResponse.SERVING:
                    return
        except grpc.aio.AioRpcError as error:
            raise CliError(f"{name} at {address} went away while it started: {error.details()}") from None
    raise CliError(f"{name} at {address} ended before it served")


async def wait_until_ready(name: str, address: str, wanted: set[ModelVersion]) -> None:
    """Return once requests for each of `wanted` are answered. Raises CliError where the process goes away."""
    async with grpc.aio.insecure_channel(address, options=(*CHANNEL_OPTIONS, _RETRY)) as channel:
        stub = ModelServiceStub(channel)
        try:
            async for response in stub.WatchModels(model_pb2.WatchModelsRequest(), wait_for_ready=True):
                if wanted <= ready_versions(response.models):
                    break
            for model, version in sorted(wanted):
                request = model_pb2.GetModelRequest(model=model, version=version)
                await stub.GetModel(request, metadata=tuple(routed({}, model, version).items()))
        except grpc.aio.AioRpcError as error:
            raise CliError(f"{name} at {address} did not become ready: {error.details()}") from None


def ready_versions(statuses: Iterable[model_pb2.ModelStatus]) -> set[ModelVersion]:
    """The model-versions that answer requests."""
    return {(status.model, status.version) for status in statuses if status.state == model_pb2.MODEL_STATE_READY}
