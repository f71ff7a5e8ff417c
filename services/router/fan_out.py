"""Calls that concern several endpoints: load, unload, and statistics.

Load and unload go to every endpoint of the services that report the model, or of every service where none does; all
have to succeed, and the caller is answered once the router has heard of it: what it asks next is answered accordingly.
Statistics are those of all endpoints that are up, added up; without one of them they would be wrong, and counters go
back, so they are then not told at all.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from argosy.v1.model_pb2 import MODEL_STATE_LOADING
from inference.grpc_service_pb2 import (
    ModelStatistics,
    ModelStatisticsRequest,
    ModelStatisticsResponse,
    RepositoryModelLoadRequest,
    RepositoryModelLoadResponse,
    RepositoryModelUnloadRequest,
    RepositoryModelUnloadResponse,
)
from services.router.calls import RpcHandler, unary
from services.router.channels import LOAD_TIMEOUT_S, Channels
from services.router.fleet import Fleet
from services.router.inventory import Endpoint, Inventory
from services.router.placement import RETRY_AFTER_S, why_not
from services.router.statistics import added_up
from services.runtime.errors import GRPC_STATUS, Cause, ServingError, unavailable, unknown_model
from services.runtime.repository_calls import check_load, check_unload
from services.runtime.rpc_errors import Context
from services.runtime.status import DETAILS_TRAILER

Call: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"

_OIP = "/inference.GRPCInferenceService"
_CAUSES = {status: cause for cause, status in GRPC_STATUS.items()}
_STATISTICS_TIMEOUT_S = 5.0
# An endpoint's report comes by a stream of its own, a moment after its answer.
_REPORT_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one endpoint said to a call."""

    endpoint: Endpoint
    reply: bytes = b""
    failure: grpc.aio.AioRpcError | None = None

    @property
    def unknown(self) -> bool:
        return self.failure is not None and self.failure.code() is grpc.StatusCode.NOT_FOUND


class FanOut:
    """RepositoryModelLoad, RepositoryModelUnload and ModelStatistics."""

    def __init__(self, fleet: Fleet, channels: Channels, services: Iterable[str]) -> None:
        self._fleet = fleet
        self._channels = channels
        self._services = dict.fromkeys(services)

    def handlers(self) -> dict[str, RpcHandler]:
        return {
            f"{_OIP}/RepositoryModelLoad": unary(RepositoryModelLoadRequest, self._load),
            f"{_OIP}/RepositoryModelUnload": unary(RepositoryModelUnloadRequest, self._unload),
            f"{_OIP}/ModelStatistics": unary(ModelStatisticsRequest, self._statistics),
        }

    async def _load(self, request: RepositoryModelLoadRequest, context: Context) -> RepositoryModelLoadResponse:
        check_load(request)
        outcomes = await self._everywhere("RepositoryModelLoad", request, request.model_name, context)
        await heard_of(self._fleet, outcomes, request.model_name, loaded=True)
        return RepositoryModelLoadResponse()

    async def _unload(self, request: RepositoryModelUnloadRequest, context: Context) -> RepositoryModelUnloadResponse:
        check_unload(request)
        outcomes = await self._everywhere("RepositoryModelUnload", request, request.model_name, context)
        await heard_of(self._fleet, outcomes, request.model_name, loaded=False)
        return RepositoryModelUnloadResponse()

    async def _everywhere(self, method: str, request: Message, model: str, context: Context) -> list[Outcome]:
        """All endpoints concerned succeed, or ServingError says which did not."""
        endpoints = owners(self._fleet.inventory, model)
        if not endpoints:
            raise unavailable("NO_ENDPOINT", "no endpoint is up to take the request")
        timeout_s = context.time_remaining() or LOAD_TIMEOUT_S
        outcomes = await self._ask(endpoints, method, request, timeout_s)
        raise_failure(outcomes, model)
        return outcomes

    async def _statistics(self, request: ModelStatisticsRequest, _context: Context) -> ModelStatisticsResponse:
        endpoints = with_model(self._fleet.inventory, request.name, request.version)
        if not endpoints and request.name:
            raise why_not(self._fleet.inventory, self._services, request.name, request.version)
        outcomes = await self._ask(endpoints, "ModelStatistics", request, _STATISTICS_TIMEOUT_S)
        answered = [ModelStatisticsResponse.FromString(r) for r in replies(outcomes, request.name, request.version)]
        reports: list[ModelStatistics] = [report for reply in answered for report in reply.model_stats]
        return ModelStatisticsResponse(model_stats=added_up(reports))

    async def _ask(
        self, endpoints: Sequence[Endpoint], method: str, request: Message, timeout_s: float
    ) -> list[Outcome]:
        data = request.SerializeToString()
        return await asyncio.gather(*(self._ask_one(e, f"{_OIP}/{method}", data, timeout_s) for e in endpoints))

    async def _ask_one(self, endpoint: Endpoint, path: str, data: bytes, timeout_s: float) -> Outcome:
        call: Call = self._channels.to(endpoint.address).unary_unary(path)
        try:
            return Outcome(endpoint, reply=await call(data, timeout=timeout_s))
        except grpc.aio.AioRpcError as error:
            return Outcome(endpoint, failure=error)


def owners(inventory: Inventory, model: str) -> list[Endpoint]:
    """The endpoints that are up of every service that reports `model`; of all services where none does."""
    services = {endpoint.service for endpoint, _ in inventory.reported(model)}
    return [endpoint for endpoint in inventory.up() if not services or endpoint.service in services]


async def heard_of(fleet: Fleet, outcomes: Iterable[Outcome], model: str, *, loaded: bool) -> None:
    """Wait, not for long, until the endpoints that have loaded or unloaded the model report it so."""
    done = [outcome.endpoint for outcome in outcomes if outcome.failure is None]
    with suppress(TimeoutError):
        async with asyncio.timeout(_REPORT_TIMEOUT_S):
            async for inventory in fleet.changes():
                now = [inventory.endpoints.get((endpoint.service, endpoint.address)) for endpoint in done]
                if all(_reports(endpoint, model, loaded) for endpoint in now if endpoint is not None and endpoint.up):
                    return


def _reports(endpoint: Endpoint, model: str, loaded: bool) -> bool:
    own = [reported for reported in endpoint.models if reported.model == model]
    if not loaded:
        return not any(reported.ready for reported in own)
    return any(reported.ready for reported in own) and all(reported.state != MODEL_STATE_LOADING for reported in own)


def with_model(inventory: Inventory, model: str, version: str) -> list[Endpoint]:
    """The endpoints that are up and have `model` ready; all that are up for ''."""
    return [
        endpoint
        for endpoint in inventory.up()
        if not model or any(m.ready and m.model == model and version in ("", m.version) for m in endpoint.models)
    ]


def replies(outcomes: Sequence[Outcome], model: str, version: str) -> list[bytes]:
    """What all said; those that no longer have the model have nothing to say. Raises UNAVAILABLE where one failed."""
    having = [outcome for outcome in outcomes if not outcome.unknown]
    if outcomes and not having:
        raise unknown_model(model, version)
    failed = sum(outcome.failure is not None for outcome in having)
    if failed:
        text = f"{failed} of {len(having)} endpoints did not answer: try again"
        raise unavailable("STATISTICS_INCOMPLETE", text, RETRY_AFTER_S)
    return [outcome.reply for outcome in having]


def raise_failure(outcomes: Sequence[Outcome], model: str) -> None:
    """A service that does not have the model is no failure as long as another one has it."""
    if all(outcome.unknown for outcome in outcomes):
        raise unknown_model(model)
    having = {outcome.endpoint.service for outcome in outcomes if not outcome.unknown}
    concerned = [outcome for outcome in outcomes if outcome.endpoint.service in having]
    failed = [outcome for outcome in concerned if outcome.failure is not None]
    if not failed:
        return
    failure = failed[0].failure
    cause = _CAUSES.get(failure.code().value[0], Cause.UNAVAILABLE) if failure else Cause.UNAVAILABLE
    where = f"{len(failed)} of {len(concerned)} endpoints of {', '.join(sorted(having))} failed"
    reason = _reason(failure) if failure else ""
    # Without a reason the text is grpcio's own, with addresses in it.
    text = f"{where}: {failure.details()}" if failure and reason else where
    retry_after_s = RETRY_AFTER_S if cause is Cause.UNAVAILABLE else None
    raise ServingError(cause, reason or "LOAD_FAILED", text, retry_after_s=retry_after_s)


def _reason(failure: grpc.aio.AioRpcError) -> str:
    """ErrorInfo's reason as the endpoint gave it, or ''."""
    details = next((value for key, value in failure.trailing_metadata() if key == DETAILS_TRAILER), b"")
    info = ErrorInfo()
    for detail in Status.FromString(details if isinstance(details, bytes) else b"").details:
        if detail.Unpack(info):
            break
    return str(info.reason)
