"""Config and inventory in, everything that Envoy is to know out: a pure function, and the value that it makes.

Each resource carries a digest of its contents as its version, so that what has not changed is not sent again. Nothing
here depends on the clock, on the order in which reports came, or on what was sent before.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.message import Message

from services.router import clusters, listener, routes
from services.router.inventory import Inventory
from services.router.xds_types import BRAIN_CLUSTER, ROUTES, packed

_TYPE_PREFIX = "type.googleapis.com/"
CLUSTER_TYPE = f"{_TYPE_PREFIX}envoy.config.cluster.v3.Cluster"
ENDPOINT_TYPE = f"{_TYPE_PREFIX}envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER_TYPE = f"{_TYPE_PREFIX}envoy.config.listener.v3.Listener"
ROUTE_TYPE = f"{_TYPE_PREFIX}envoy.config.route.v3.RouteConfiguration"


@dataclass(frozen=True, slots=True)
class Sockets:
    """Where Envoy listens for callers (host:port) and for the brain, and where the brain listens for Envoy (paths)."""

    public_address: str
    inner_path: str
    brain_path: str


@dataclass(frozen=True, slots=True)
class Resource:
    """One xDS resource: `body` is the serialised message of the type under which it is filed."""

    version: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All resources: type URL -> name -> resource. `version` is a digest of the whole."""

    version: str
    resources: Mapping[str, Mapping[str, Resource]]


def snapshot(sockets: Sockets, inventory: Inventory) -> Snapshot:
    """What Envoy is to know while `inventory` is what there is."""
    ready = inventory.ready_addresses()
    names = {clusters.cluster_name(*key): addresses for key, addresses in ready.items()}
    stateful = inventory.stateful_versions()
    with_state = {clusters.cluster_name(*key) for key in stateful}
    versions: dict[str, dict[str, tuple[str, ...]]] = {}
    for (model, version), addresses in ready.items():
        versions.setdefault(model, {})[version] = addresses
    messages = {
        CLUSTER_TYPE: {name: clusters.model_cluster(name, stateful=name in with_state) for name in names}
        | {BRAIN_CLUSTER: clusters.brain_cluster(sockets.brain_path)},
        ENDPOINT_TYPE: {name: clusters.load_assignment(name, addresses) for name, addresses in names.items()},
        LISTENER_TYPE: {
            listener.PUBLIC: listener.public_listener(sockets.public_address),
            listener.INNER: listener.inner_listener(sockets.inner_path),
        },
        ROUTE_TYPE: {ROUTES: routes.route_configuration(versions, inventory.default_versions(), stateful)},
    }
    return _of_messages(messages)


def _of_messages(messages: Mapping[str, Mapping[str, Message]]) -> Snapshot:
    resources = {
        type_url: {name: _resource(message) for name, message in sorted(of_type.items())}
        for type_url, of_type in messages.items()
    }
    whole = hashlib.sha256()
    for type_url, of_type in resources.items():
        for name, resource in of_type.items():
            whole.update(f"{type_url} {name} {resource.version}\n".encode())
    return Snapshot(whole.hexdigest()[:16], resources)


def _resource(message: Message) -> Resource:
    body = packed(message).value
    return Resource(hashlib.sha256(body).hexdigest()[:16], body)
