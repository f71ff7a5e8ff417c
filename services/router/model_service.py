"""argosy.v1.ModelService for the whole fleet: the models of all endpoints, each version once, with how many have it."""

from collections.abc import AsyncIterator

from argosy.v1.model_pb2 import (
    MODEL_STATE_LOADING,
    MODEL_STATE_READY,
    MODEL_STATE_REFUSED,
    MODEL_STATE_UNLOADED,
    MODEL_STATE_UNLOADING,
    MODEL_STATE_UNSPECIFIED,
    ListModelsRequest,
    ListModelsResponse,
    ModelStatus,
    WatchModelsRequest,
    WatchModelsResponse,
)
from services.router.calls import RpcHandler, streaming, unary
from services.router.fleet import Fleet
from services.router.inventory import Inventory, Link, ModelVersion, version_order
from services.router.methods import service_names
from services.runtime.rpc_errors import Context

# Of what the endpoints say of one version, the first of these is the fleet's state.
_STATES_BY_RANK = (
    MODEL_STATE_READY,
    MODEL_STATE_LOADING,
    MODEL_STATE_UNLOADING,
    MODEL_STATE_REFUSED,
    MODEL_STATE_UNLOADED,
    MODEL_STATE_UNSPECIFIED,
)


def fleet_models(inventory: Inventory, model: str = "", version: str = "") -> list[ModelStatus]:
    """One status a model-version, by name and version; those of lost endpoints have the state UNSPECIFIED."""
    reports: dict[tuple[str, str], list[tuple[Link, ModelVersion]]] = {}
    for endpoint in inventory.endpoints.values():
        for reported in endpoint.models:
            if model in ("", reported.model) and version in ("", reported.version):
                reports.setdefault((reported.model, reported.version), []).append((endpoint.link, reported))
    defaults = inventory.default_versions()
    by_name = sorted(reports, key=lambda key: (key[0], version_order(key[1])))
    return [_merged(reports[key], is_default=defaults.get(key[0]) == key[1]) for key in by_name]


def _merged(reports: list[tuple[Link, ModelVersion]], *, is_default: bool) -> ModelStatus:
    heard = [reported for link, reported in reports if link in (Link.UP, Link.DRAINING)]
    told = min(heard or [reported for _, reported in reports], key=lambda m: _STATES_BY_RANK.index(m.state))
    return ModelStatus(
        model=told.model,
        version=told.version,
        state=told.state if heard else MODEL_STATE_UNSPECIFIED,
        reason=told.reason if heard else "every endpoint that had it is lost",
        default_version=is_default,
        tasks=told.tasks,
        execution_provider=told.execution_provider if heard else "",
        stateful=told.stateful,
        ready_endpoint_count=sum(link is Link.UP and reported.ready for link, reported in reports),
    )


class FleetModels:
    """ListModels and WatchModels."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def handlers(self) -> dict[str, RpcHandler]:
        service = "/argosy.v1.ModelService"
        return {
            f"{service}/ListModels": unary(ListModelsRequest, self._list),
            f"{service}/WatchModels": streaming(WatchModelsRequest, self._watch),
        }

    async def _list(self, request: ListModelsRequest, _context: Context) -> ListModelsResponse:
        return ListModelsResponse(models=fleet_models(self._fleet.inventory, request.model, request.version))

    async def _watch(self, request: WatchModelsRequest) -> AsyncIterator[WatchModelsResponse]:
        said = None
        async for inventory in self._fleet.changes():
            response = WatchModelsResponse(
                models=fleet_models(inventory, request.model, request.version),
                draining=self._fleet.draining,
                services=service_names(),
            )
            if response != said:
                yield response
                said = response
