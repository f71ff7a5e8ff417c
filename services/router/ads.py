"""The ADS server: every Envoy that connects is brought to the newest snapshot and kept there.

What to send is `delta.py`'s decision. This module carries it out, tells what Envoy rejects, and says when an Envoy has
answered the whole of the newest snapshot, whether it accepted it or not.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import grpc.aio
import structlog
from envoy.service.discovery.v3.ads_pb2_grpc import add_AggregatedDiscoveryServiceServicer_to_server
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from services.router.delta import DeltaStream, Rejection
from services.router.metrics import RouterMetrics
from services.router.snapshot import Snapshot
from services.runtime.rpc_errors import Context

_log = structlog.get_logger(__name__)


class AdsServicer:
    """envoy.service.discovery.v3.AggregatedDiscoveryService, delta variant. `on_settled` may be called often."""

    def __init__(self, snapshot: Snapshot, metrics: RouterMetrics, on_settled: Callable[[], None]) -> None:
        self._snapshot = snapshot
        self._metrics = metrics
        self._on_settled = on_settled
        self._inboxes: set[asyncio.Queue[DeltaDiscoveryRequest | Snapshot | None]] = set()

    def add_to(self, server: grpc.aio.Server) -> None:
        add_AggregatedDiscoveryServiceServicer_to_server(self, server)

    def publish(self, snapshot: Snapshot) -> None:
        """Send what has changed. Nothing is sent where nothing has."""
        if snapshot.version == self._snapshot.version:
            return
        self._snapshot = snapshot
        for inbox in self._inboxes:
            inbox.put_nowait(snapshot)

    async def DeltaAggregatedResources(  # noqa: N802 - the RPC's name
        self, requests: AsyncIterator[DeltaDiscoveryRequest], _context: object
    ) -> AsyncIterator[DeltaDiscoveryResponse]:
        """One Envoy, for as long as it is connected."""
        inbox: asyncio.Queue[DeltaDiscoveryRequest | Snapshot | None] = asyncio.Queue()
        self._inboxes.add(inbox)
        reader = asyncio.create_task(_read_into(inbox, requests))
        stream = DeltaStream(self._snapshot)
        try:
            while (news := await inbox.get()) is not None:
                for response in self._react(stream, news):
                    yield response
                if stream.settled:
                    self._on_settled()
        finally:
            self._inboxes.discard(inbox)
            reader.cancel()

    def StreamAggregatedResources(self, _requests: object, context: Context) -> object:  # noqa: N802
        """The state-of-the-world variant is not offered."""
        return context.abort(grpc.StatusCode.UNIMPLEMENTED, "use the delta variant")

    def _react(self, stream: DeltaStream, news: DeltaDiscoveryRequest | Snapshot) -> list[DeltaDiscoveryResponse]:
        if isinstance(news, Snapshot):
            responses = stream.on_snapshot(news)
        else:
            responses, rejection = stream.on_request(news)
            if rejection is not None:
                self._tell(rejection)
        for response in responses:
            self._metrics.ads_responses.labels(_short(response.type_url)).inc()
        return responses

    def _tell(self, rejection: Rejection) -> None:
        self._metrics.ads_rejections.labels(_short(rejection.type_url)).inc()
        _log.error("envoy rejected a resource", type=_short(rejection.type_url), message=rejection.message)


async def _read_into(
    inbox: "asyncio.Queue[DeltaDiscoveryRequest | Snapshot | None]", requests: AsyncIterator[DeltaDiscoveryRequest]
) -> None:
    # An Envoy that dies takes its stream with it: the end is the same as a proper one.
    with suppress(grpc.aio.AbortError, grpc.aio.UsageError):
        async for request in requests:
            inbox.put_nowait(request)
    inbox.put_nowait(None)


def _short(type_url: str) -> str:
    return type_url.rpartition(".")[2]
