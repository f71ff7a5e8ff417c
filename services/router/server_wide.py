"""The Open Inference Protocol's calls that speak of the server: here the server is the fleet."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from inference.grpc_service_pb2 import (
    RepositoryIndexRequest,
    RepositoryIndexResponse,
    ServerLiveRequest,
    ServerLiveResponse,
    ServerMetadataRequest,
    ServerMetadataResponse,
    ServerReadyRequest,
    ServerReadyResponse,
)
from services.router.calls import RpcHandler, unary
from services.router.fleet import Fleet
from services.router.inventory import Inventory
from services.router.model_service import fleet_models
from services.runtime.extensions import EXTENSIONS
from services.runtime.index import repository_index
from services.runtime.repository_calls import check_index
from services.runtime.rpc_errors import Context


def fleet_is_ready(inventory: Inventory, services: Mapping[str, object]) -> bool:
    """Whether every configured service has an endpoint up, and some model is ready."""
    up = {endpoint.service for endpoint in inventory.up()}
    return up >= set(services) and bool(inventory.ready_addresses())


class ServerWide:
    """ServerLive, ServerReady, ServerMetadata and RepositoryIndex."""

    def __init__(self, fleet: Fleet, services: Mapping[str, object]) -> None:
        self._fleet = fleet
        self._services = services

    def handlers(self) -> dict[str, RpcHandler]:
        service = "/inference.GRPCInferenceService"
        return {
            f"{service}/ServerLive": unary(ServerLiveRequest, self._live),
            f"{service}/ServerReady": unary(ServerReadyRequest, self._ready),
            f"{service}/ServerMetadata": unary(ServerMetadataRequest, self._metadata),
            f"{service}/RepositoryIndex": unary(RepositoryIndexRequest, self._index),
        }

    async def _live(self, _request: ServerLiveRequest, _context: Context) -> ServerLiveResponse:
        return ServerLiveResponse(live=True)

    async def _ready(self, _request: ServerReadyRequest, _context: Context) -> ServerReadyResponse:
        serving = self._fleet.serving and not self._fleet.draining
        return ServerReadyResponse(ready=serving and fleet_is_ready(self._fleet.inventory, self._services))

    async def _metadata(self, _request: ServerMetadataRequest, _context: Context) -> ServerMetadataResponse:
        return ServerMetadataResponse(name="argosy", version=_package_version(), extensions=EXTENSIONS)

    async def _index(self, request: RepositoryIndexRequest, _context: Context) -> RepositoryIndexResponse:
        check_index(request)
        return repository_index(fleet_models(self._fleet.inventory), ready_only=request.ready)


def _package_version() -> str:
    try:
        return version("argosy")
    except PackageNotFoundError:
        return "0"
