"""One Envoy's delta ADS stream as a state machine: what it has been sent, what it has accepted, what comes next.

The order makes before it breaks: new clusters and their endpoints first; listeners and routes once Envoy has accepted
the clusters, which it does when they are warm; clusters that nothing routes to any more last. Endpoints never wait:
one that is lost leaves at once. https://www.envoyproxy.io/docs/envoy/v1.40.0/api-docs/xds_protocol

A pure state: requests and snapshots go in, responses come out; the stream itself is `ads.py`'s.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse
from envoy.service.discovery.v3.discovery_pb2 import Resource as XdsResource
from google.protobuf.any_pb2 import Any as AnyMessage

from services.router.snapshot import CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE, Resource, Snapshot

_NONE: Mapping[str, Resource] = {}
# What Envoy asked for and there is not: it is told so once.
_ABSENT = ""


@dataclass(slots=True)
class _Subscription:
    """What Envoy wants of one type, and has. `sent` is name -> version."""

    wildcard: bool = False
    names: set[str] = field(default_factory=set)
    sent: dict[str, str] = field(default_factory=dict)
    awaited_nonce: str = ""

    def wanted(self, resources: Mapping[str, Resource]) -> Mapping[str, Resource]:
        return resources if self.wildcard else {name: body for name, body in resources.items() if name in self.names}


@dataclass(frozen=True, slots=True)
class Rejection:
    """Envoy did not take what it was sent, and says why."""

    type_url: str
    message: str


class DeltaStream:
    """The server's side of one stream. Both methods return the responses to send now, in order."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._subscriptions: dict[str, _Subscription] = {}
        self._nonce = 0

    @property
    def settled(self) -> bool:
        """Whether Envoy has answered all of the newest snapshot, accepting or rejecting it: its routes came last.

        What it has rejected is not sent again, so nothing more would come of waiting.
        """
        types = (CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE)
        known = {CLUSTER_TYPE, LISTENER_TYPE, ROUTE_TYPE} <= self._subscriptions.keys()
        return known and not any(self._awaits(type_url) or any(self._due(type_url)) for type_url in types)

    def on_snapshot(self, snapshot: Snapshot) -> list[DeltaDiscoveryResponse]:
        """There is a new snapshot."""
        self._snapshot = snapshot
        return list(self._advance())

    def on_request(self, request: DeltaDiscoveryRequest) -> tuple[list[DeltaDiscoveryResponse], Rejection | None]:
        """Envoy subscribes, accepts or rejects; the rejection, if any, comes beside the responses."""
        subscription = self._subscribe(request)
        if request.response_nonce and request.response_nonce == subscription.awaited_nonce:
            subscription.awaited_nonce = ""
        rejection = None
        if request.HasField("error_detail"):
            rejection = Rejection(request.type_url, request.error_detail.message)
        return list(self._advance()), rejection

    def _subscribe(self, request: DeltaDiscoveryRequest) -> _Subscription:
        first = request.type_url not in self._subscriptions
        subscription = self._subscriptions.setdefault(request.type_url, _Subscription())
        asked = set(request.resource_names_subscribe)
        if first:
            subscription.sent.update(request.initial_resource_versions)
            subscription.wildcard = not asked
        subscription.wildcard |= "*" in asked
        subscription.names |= asked - {"*"}
        # Asked for again is to be sent again: Envoy may have dropped it.
        for name in asked & subscription.sent.keys() - request.initial_resource_versions.keys():
            del subscription.sent[name]
        for name in request.resource_names_unsubscribe:
            subscription.names.discard(name)
            subscription.sent.pop(name, None)
        return subscription

    def _advance(self) -> Iterator[DeltaDiscoveryResponse]:
        yield from self._send(CLUSTER_TYPE, removals=False)
        yield from self._send(ENDPOINT_TYPE)
        if not self._awaits(CLUSTER_TYPE):
            yield from self._send(LISTENER_TYPE)
            yield from self._send(ROUTE_TYPE)
            if not self._awaits(ROUTE_TYPE):
                yield from self._send(CLUSTER_TYPE)

    def _send(self, type_url: str, *, removals: bool = True) -> Iterator[DeltaDiscoveryResponse]:
        if type_url not in self._subscriptions:
            return
        changed, removed = self._due(type_url)
        removed = removed if removals else []
        if not changed and not removed:
            return
        subscription = self._subscriptions[type_url]
        subscription.sent.update({name: resource.version for name, resource in changed.items()})
        for name in removed:
            if subscription.wildcard:
                del subscription.sent[name]
            else:
                subscription.sent[name] = _ABSENT
        self._nonce += 1
        subscription.awaited_nonce = str(self._nonce)
        yield self._response(type_url, changed, removed)

    def _due(self, type_url: str) -> tuple[dict[str, Resource], list[str]]:
        """What Envoy does not have in its newest version, and what it should no longer have."""
        subscription = self._subscriptions.get(type_url, _Subscription())
        wanted = subscription.wanted(self._snapshot.resources.get(type_url, _NONE))
        changed = {name: body for name, body in wanted.items() if subscription.sent.get(name) != body.version}
        gone = (subscription.sent.keys() | subscription.names) - wanted.keys()
        return changed, sorted(name for name in gone if subscription.sent.get(name) != _ABSENT)

    def _awaits(self, type_url: str) -> bool:
        return type_url in self._subscriptions and bool(self._subscriptions[type_url].awaited_nonce)

    def _response(self, type_url: str, changed: Mapping[str, Resource], removed: list[str]) -> DeltaDiscoveryResponse:
        resources = [
            XdsResource(
                name=name, version=resource.version, resource=AnyMessage(type_url=type_url, value=resource.body)
            )
            for name, resource in changed.items()
        ]
        return DeltaDiscoveryResponse(
            system_version_info=self._snapshot.version,
            type_url=type_url,
            resources=resources,
            removed_resources=removed,
            nonce=str(self._nonce),
        )
