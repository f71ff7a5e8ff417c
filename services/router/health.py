"""grpc.health.v1 for the router: '' is the whole fleet, other names are services by full name, and models.

The whole is SERVING once Envoy has its configuration and at least one model is ready, and no longer once the router
drains. ModelService, which the router answers by itself, is SERVING without a model too: a restart mends no model. A
watch ends with the router, so that it never holds the end up.
"""

from collections.abc import AsyncIterator

from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from argosy.v1 import model_pb2
from services.router.calls import RpcHandler, streaming, unary
from services.router.fleet import Fleet
from services.router.inventory import Inventory, Link
from services.router.methods import service_names
from services.runtime.errors import Cause, ServingError, shown
from services.runtime.rpc_errors import Context

_SERVING = HealthCheckResponse.SERVING
_NOT_SERVING = HealthCheckResponse.NOT_SERVING
_UNKNOWN = HealthCheckResponse.SERVICE_UNKNOWN
_OWN = model_pb2.DESCRIPTOR.services_by_name["ModelService"].full_name


def health_of(inventory: Inventory, serving: bool) -> dict[str, bool]:
    """Every name that can be asked for, and whether it is served; `serving` is whether the router is at all."""
    ready_models = {model for model, _ in inventory.ready_addresses()}
    known = {reported.model for endpoint in inventory.endpoints.values() for reported in endpoint.models}
    answered = {
        name for endpoint in inventory.endpoints.values() if endpoint.link is Link.UP for name in endpoint.services
    }
    names = {"": bool(ready_models)}
    names |= {name: name == _OWN or name in answered for name in service_names()}
    names |= {model: model in ready_models for model in known}
    return {name: serving and healthy for name, healthy in names.items()}


class Health:
    """Answers from the inventory as it is."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def handlers(self) -> dict[str, RpcHandler]:
        service = "/grpc.health.v1.Health"
        return {
            f"{service}/Check": unary(HealthCheckRequest, self._check),
            f"{service}/Watch": streaming(HealthCheckRequest, self._watch),
        }

    def _now(self) -> dict[str, bool]:
        return health_of(self._fleet.inventory, self._fleet.serving and not self._fleet.draining)

    async def _check(self, request: HealthCheckRequest, _context: Context) -> HealthCheckResponse:
        now = self._now()
        if request.service not in now:
            raise ServingError(Cause.NOT_FOUND, "UNKNOWN_SERVICE", f"no service or model '{shown(request.service)}'")
        return HealthCheckResponse(status=_SERVING if now[request.service] else _NOT_SERVING)

    async def _watch(self, request: HealthCheckRequest) -> AsyncIterator[HealthCheckResponse]:
        said = None
        async for _ in self._fleet.changes():
            healthy = self._now().get(request.service)
            status = _UNKNOWN if healthy is None else _SERVING if healthy else _NOT_SERVING
            if status != said:
                yield HealthCheckResponse(status=status)
                said = status
