"""Server reflection for the whole fleet: the typed API, and the services that models have for themselves.

Which of those there are the endpoints report; what one of them is like is in its model's manifest, which an endpoint
that has the model ready is asked for. The router's own pool never learns of it, so a model that is gone is gone here.
"""

from collections.abc import AsyncIterator

import grpc
import grpc.aio
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest

from argosy.v1.model_pb2 import GetModelRequest
from argosy.v1.model_pb2_grpc import ModelServiceStub
from services.router.calls import RpcHandler, failures_told
from services.router.channels import Channels
from services.router.fleet import Fleet
from services.router.methods import service_names
from services.runtime.messages import parse
from services.runtime.own_method import own_file
from services.runtime.reflection import REFLECTION_METHODS, asked_package, reflected
from services.runtime.rpc_errors import Context
from stubs.names import package_of

_TIMEOUT_S = 5.0


class FleetReflection:
    """ServerReflectionInfo."""

    def __init__(self, fleet: Fleet, channels: Channels) -> None:
        self._fleet = fleet
        self._channels = channels

    def handlers(self) -> dict[str, RpcHandler]:
        return dict.fromkeys(REFLECTION_METHODS, grpc.stream_stream_rpc_method_handler(self._answer))

    async def _answer(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        async with failures_told(context):
            async for data in requests:
                request = parse(ServerReflectionRequest, data)
                own = await self._own_file(asked_package(request))
                yield reflected(request, self._names(), own)

    def _names(self) -> list[str]:
        reported = {name for endpoint in self._fleet.inventory.up() for name in endpoint.services}
        return sorted({*service_names(), "grpc.health.v1.Health", *reported})

    async def _own_file(self, package: str) -> FileDescriptorProto | None:
        """The file of the model whose package this is; None where none has it, or cannot be asked for it now."""
        ready = self._fleet.inventory.ready_addresses()
        # While a version rolls out, what an endpoint takes for the default one need not be what the fleet does.
        versions = dict(ready.keys()) | self._fleet.inventory.default_versions()
        for model, version in versions.items():
            if package_of(model) == package:
                stub = ModelServiceStub(self._channels.to(ready[model, version][0]))
                try:
                    reply = await stub.GetModel(GetModelRequest(model=model, version=version), timeout=_TIMEOUT_S)
                except grpc.aio.AioRpcError:
                    return None
                return own_file(reply.manifest)
        return None
