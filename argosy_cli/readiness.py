"""Waiting until a fleet can be asked: each process by its health, the router by what the services have ready.

grpc.health.v1's Watch and ModelService's WatchModels push every change, so nothing is polled. A router that serves may
not have heard of every model yet: the fleet is ready when the router has each one that a service has.
"""

from collections.abc import Iterable
from typing import TypeAlias

import grpc
from grpc_health.v1 import health_pb2

from argosy.v1 import model_pb2
from argosy.v1.model_pb2_grpc import ModelServiceStub
from argosy_cli.client import CHANNEL_OPTIONS
from argosy_cli.errors import CliError

ModelVersion: TypeAlias = tuple[str, str]


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
    """Return once the process has each of `wanted` ready. Raises CliError where it goes away."""
    async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        try:
            async for response in ModelServiceStub(channel).WatchModels(model_pb2.WatchModelsRequest()):
                if wanted <= ready_versions(response.models):
                    return
        except grpc.aio.AioRpcError as error:
            raise CliError(f"{name} at {address} went away while it started: {error.details()}") from None
    raise CliError(f"{name} at {address} ended before it had every model")


def ready_versions(statuses: Iterable[model_pb2.ModelStatus]) -> set[ModelVersion]:
    """The model-versions that answer requests."""
    return {(status.model, status.version) for status in statuses if status.state == model_pb2.MODEL_STATE_READY}
