"""The order of what one Envoy is sent, with its answers played by hand."""

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse
from google.rpc.status_pb2 import Status

from services.router.delta import DeltaStream, Rejection
from services.router.inventory import Inventory
from services.router.snapshot import (
    CLUSTER_TYPE,
    ENDPOINT_TYPE,
    LISTENER_TYPE,
    ROUTE_TYPE,
    Snapshot,
    Sockets,
    snapshot,
)
from services.router.xds_types import BRAIN_CLUSTER, ROUTES
from tests.unit.services.router.builders import endpoint, inventory

SOCKETS = Sockets("127.0.0.1:8500", "/run/inner.sock", "/run/brain.sock")


def of(*models: str, address: str = "h:1") -> Snapshot:
    return snapshot(SOCKETS, inventory(endpoint(address, *models)) if models else Inventory())


class Client:
    """What Envoy would say."""

    def __init__(self, first: Snapshot) -> None:
        self.stream = DeltaStream(first)

    def subscribe(self, type_url: str, *names: str, **fields: object) -> list[DeltaDiscoveryResponse]:
        request = DeltaDiscoveryRequest(type_url=type_url, resource_names_subscribe=names, **fields)
        return self.stream.on_request(request)[0]

    def accept(self, response: DeltaDiscoveryResponse) -> list[DeltaDiscoveryResponse]:
        request = DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
        return self.stream.on_request(request)[0]

    def reject(self, response: DeltaDiscoveryResponse) -> tuple[list[DeltaDiscoveryResponse], Rejection | None]:
        request = DeltaDiscoveryRequest(
            type_url=response.type_url,
            response_nonce=response.nonce,
            error_detail=Status(code=13, message="no such field"),
        )
        return self.stream.on_request(request)

    def start(self) -> None:
        """Subscribe as Envoy does and accept all."""
        waiting = self.subscribe(CLUSTER_TYPE) + self.subscribe(LISTENER_TYPE) + self.subscribe(ROUTE_TYPE, ROUTES)
        while waiting:
            response = waiting.pop(0)
            if response.type_url == CLUSTER_TYPE:
                names = [resource.name for resource in response.resources if resource.name != BRAIN_CLUSTER]
                if names:
                    waiting += self.subscribe(ENDPOINT_TYPE, *names)
            waiting += self.accept(response)


def types(responses: list[DeltaDiscoveryResponse]) -> list[str]:
    return [response.type_url for response in responses]


def test_routes_wait_for_the_clusters_to_be_accepted() -> None:
    client = Client(of("small:1*"))
    (clusters,) = client.subscribe(CLUSTER_TYPE)
    assert client.subscribe(LISTENER_TYPE) == []
    assert client.subscribe(ROUTE_TYPE, ROUTES) == []
    assert types(client.accept(clusters)) == [LISTENER_TYPE, ROUTE_TYPE]


def test_it_is_settled_once_the_routes_are_accepted() -> None:
    client = Client(of("small:1*"))
    assert not client.stream.settled
    client.start()
    assert client.stream.settled


def test_it_is_settled_too_once_envoy_has_rejected_what_came_last() -> None:
    client = Client(of())
    (clusters,) = client.subscribe(CLUSTER_TYPE)
    client.subscribe(LISTENER_TYPE)
    client.subscribe(ROUTE_TYPE, ROUTES)
    listeners, routes = client.accept(clusters)
    client.accept(routes)
    assert not client.stream.settled
    client.reject(listeners)
    assert client.stream.settled


def test_nothing_is_sent_where_nothing_has_changed() -> None:
    client = Client(of("small:1*"))
    client.start()
    assert client.stream.on_snapshot(of("small:1*")) == []
    assert client.stream.settled


def test_a_new_model_brings_only_what_is_new_clusters_first() -> None:
    client = Client(of("small:1*"))
    client.start()
    (clusters,) = client.stream.on_snapshot(of("small:1*", "large:1*"))
    assert [resource.name for resource in clusters.resources] == ["large/1"]
    (endpoints,) = client.subscribe(ENDPOINT_TYPE, "large/1")
    assert client.accept(endpoints) == []
    assert types(client.accept(clusters)) == [ROUTE_TYPE]


def test_endpoints_go_at_once_though_clusters_are_still_awaited() -> None:
    client = Client(of("small:1*"))
    client.start()
    sent = client.stream.on_snapshot(of("small:1*", "large:1*", address="h:2"))
    assert types(sent) == [CLUSTER_TYPE, ENDPOINT_TYPE]


def test_a_cluster_is_removed_after_the_routes_to_it() -> None:
    client = Client(of("small:1*", "large:1*"))
    client.start()
    endpoints, routes = client.stream.on_snapshot(of("small:1*"))
    assert (endpoints.type_url, list(endpoints.removed_resources)) == (ENDPOINT_TYPE, ["large/1"])
    assert routes.type_url == ROUTE_TYPE
    (clusters,) = client.accept(routes)
    assert list(clusters.removed_resources) == ["large/1"]


def test_what_is_not_there_is_said_once() -> None:
    client = Client(of())
    client.start()
    (absent,) = client.subscribe(ENDPOINT_TYPE, "large/1")
    assert list(absent.removed_resources) == ["large/1"]
    assert client.accept(absent) == []


def test_a_rejection_is_told_and_the_same_is_not_sent_again() -> None:
    client = Client(of("small:1*"))
    (clusters,) = client.subscribe(CLUSTER_TYPE)
    responses, rejection = client.reject(clusters)
    assert responses == []
    assert rejection is not None
    assert (rejection.type_url, rejection.message) == (CLUSTER_TYPE, "no such field")


def test_an_envoy_that_connects_again_gets_only_what_it_lacks() -> None:
    newest = of("small:1*", "large:1*")
    has = {name: resource.version for name, resource in of("small:1*").resources[CLUSTER_TYPE].items()}
    (clusters,) = Client(newest).subscribe(CLUSTER_TYPE, initial_resource_versions=has)
    assert [resource.name for resource in clusters.resources] == ["large/1"]


def test_a_resource_that_is_asked_for_again_is_sent_again() -> None:
    client = Client(of("small:1*"))
    client.start()
    (again,) = client.subscribe(ENDPOINT_TYPE, "small/1")
    assert [resource.name for resource in again.resources] == ["small/1"]


def test_a_resource_that_is_no_longer_wanted_is_not_sent() -> None:
    client = Client(of("small:1*"))
    client.start()
    client.stream.on_request(DeltaDiscoveryRequest(type_url=ENDPOINT_TYPE, resource_names_unsubscribe=["small/1"]))
    assert client.stream.on_snapshot(of("small:1*", address="h:2")) == []
