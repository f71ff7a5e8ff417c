"""Watching the endpoints: one WatchModels stream to each, from which the inventory is kept.

The stream is also the pulse. When it ends or its keepalive finds the peer frozen, the endpoint is out at once and its
last report stays as what it had. Which endpoints a service has comes from fleet.yaml or, again and again, from DNS.
"""

import asyncio
import socket
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import structlog

from argosy.v1.model_pb2 import WatchModelsRequest, WatchModelsResponse
from argosy.v1.model_pb2_grpc import ModelServiceStub
from services.router.channels import Channels
from services.router.config import Dns
from services.router.fleet import Fleet
from services.router.inventory import Endpoint, Link, ModelVersion
from services.router.routes import is_routable
from services.runtime.addresses import join_address, split_address

if TYPE_CHECKING:
    from argosy.v1.model_pb2_grpc import ModelServiceAsyncStub

_log = structlog.get_logger(__name__)

# After a stream has ended; while an endpoint cannot be reached, the channel's own backoff holds. It grows for as long
# as streams end without a report: then the peer is something else, or wrongly built.
_FIRST_RETRY_S = 0.2
_LONGEST_RETRY_S = 10.0


class ServiceWatch:
    """Watches every endpoint of one service."""

    def __init__(self, service: str, fleet: Fleet, channels: Channels) -> None:
        self._service = service
        self._fleet = fleet
        self._channels = channels
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._lost = asyncio.Event()

    async def follow(self, where: tuple[str, ...] | Dns, resolve_interval_s: float) -> None:
        """Watch until cancelled. A name is resolved at intervals, and at once when an endpoint is lost."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._set_endpoints(await _addresses(where), group)
                self._lost.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._lost.wait(), resolve_interval_s if isinstance(where, Dns) else None)

    def _set_endpoints(self, addresses: Iterable[str] | None, group: asyncio.TaskGroup) -> None:
        if addresses is None:
            return
        named = frozenset(addresses)
        up = frozenset(endpoint.address for endpoint in self._fleet.inventory.of_service(self._service) if endpoint.up)
        for address in leaving(self._watches.keys(), named, up):
            self._watches.pop(address).cancel()
        for address in sorted(named - self._watches.keys()):
            self._watches[address] = group.create_task(self._watch(address))

    async def _watch(self, address: str) -> None:
        endpoint = Endpoint(self._service, address)
        self._fleet.put(endpoint)
        stub = ModelServiceStub(self._channels.to(address))
        retry_s = _FIRST_RETRY_S
        try:
            while True:
                heard = await self._listen(stub, endpoint)
                retry_s = _FIRST_RETRY_S if heard is not endpoint else min(2 * retry_s, _LONGEST_RETRY_S)
                endpoint = heard
                self._lost.set()
                await asyncio.sleep(retry_s)
        finally:
            self._fleet.put(_lost(endpoint))
            self._fleet.forget(self._service, address)
            self._channels.keep_only(address for _, address in self._fleet.inventory.endpoints)

    async def _listen(self, stub: "ModelServiceAsyncStub", endpoint: Endpoint) -> Endpoint:
        """One stream to its end; the endpoint as it then stands, the same object where it said nothing."""
        try:
            async for response in stub.WatchModels(WatchModelsRequest(), wait_for_ready=True):
                was, endpoint = endpoint, reported(endpoint, response)
                if endpoint.link is not was.link:
                    _log.info(f"endpoint {endpoint.link.value}", kind=endpoint.service, address=endpoint.address)
                self._fleet.put(endpoint)
        except grpc.aio.AioRpcError as error:
            _log.warning("endpoint lost", kind=endpoint.service, address=endpoint.address, code=error.code().name)
        if endpoint.link not in (Link.CONNECTING, Link.LOST):
            endpoint = _lost(endpoint)
        self._fleet.put(endpoint)
        return endpoint


def leaving(watched: Collection[str], named: frozenset[str], up: frozenset[str]) -> frozenset[str]:
    """Which of `watched` go, as the name has them no more: none, until one that it has is up.

    A drained node changes every address at once. The old replicas still answer while the new ones are not heard of yet.
    """
    return frozenset(watched) - named if named & up else frozenset()


def reported(endpoint: Endpoint, response: WatchModelsResponse) -> Endpoint:
    """`endpoint` with what it reports now. Models whose names cannot be routed are left out."""
    return replace(
        endpoint,
        link=Link.DRAINING if response.draining else Link.UP,
        models=tuple(ModelVersion.of(m) for m in response.models if is_routable(m.model, m.version)),
        services=tuple(response.services),
    )


def _lost(endpoint: Endpoint) -> Endpoint:
    return endpoint if endpoint.link is Link.CONNECTING else replace(endpoint, link=Link.LOST)


async def _addresses(where: tuple[str, ...] | Dns) -> Iterable[str] | None:
    """host:port of every endpoint; None where the name has no answer just now: then those that are known stay."""
    if not isinstance(where, Dns):
        return where
    host, port = split_address(where.dns)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        _log.warning("a name does not resolve", name=host, error=str(error))
        return None
    return {join_address(str(entry[4][0]), port) for entry in found}
