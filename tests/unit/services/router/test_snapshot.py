"""What Envoy is told, by config and inventory alone. The resources are parsed back from their bytes."""

from dataclasses import replace

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import Route
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from xds.type.matcher.v3.matcher_pb2 import Matcher

from services.router.inventory import Inventory, Link
from services.router.routes import is_routable, message_key
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
from tests.unit.services.router.builders import endpoint, inventory, version

SOCKETS = Sockets("127.0.0.1:8500", "/run/inner.sock", "/run/brain.sock")
TWO = inventory(endpoint("10.0.0.1:1", "small:1", "small:2*"), endpoint("10.0.0.2:1", "small:1*"))
ALIKE = inventory(*(endpoint(f"10.0.0.{number}:1", "small:1", "small:2*") for number in (1, 2)))
NOTHING = Inventory()


def addresses(of: Snapshot, cluster: str) -> list[str]:
    assignment = ClusterLoadAssignment.FromString(of.resources[ENDPOINT_TYPE][cluster].body)
    sockets = [host.endpoint.address.socket_address for host in assignment.endpoints[0].lb_endpoints]
    return [f"{socket.address}:{socket.port_value}" for socket in sockets]


def tree(of: Snapshot) -> Matcher:
    """The route tree below the methods of the whole fleet."""
    routes = RouteConfiguration.FromString(of.resources[ROUTE_TYPE][ROUTES].body)
    return routes.virtual_hosts[0].matcher.on_no_match.matcher


def route(found: Matcher.OnMatch) -> Route:
    unpacked = Route()
    assert found.action.typed_config.Unpack(unpacked)
    return unpacked


def by_message(of: Snapshot, model: str, version: str) -> Route:
    keys = where_named(tree(of).on_no_match, there=False).matcher
    return route(keys.matcher_tree.exact_match_map.map.get(message_key(model, version), keys.on_no_match))


def by_header(of: Snapshot, model: str, version: str | None, *, read: str = "", forwarded: bool = False) -> Route:
    """`version`: None for no such header; `read`: the key that Envoy made of the message, if it read it."""
    versions = tree(of).matcher_tree.exact_match_map.map[model].matcher
    known = versions.matcher_tree.exact_match_map.map
    if version is not None and version in known:
        return route(known[version])
    unnamed = where_named(versions.on_no_match, there=version is not None)
    if not unnamed.HasField("matcher"):
        return route(unnamed)
    keys = unnamed.matcher
    return route(keys.matcher_tree.exact_match_map.map.get(read) or where_named(keys.on_no_match, there=forwarded))


def where_named(found: Matcher.OnMatch, *, there: bool) -> Matcher.OnMatch:
    """Of a route that depends on a header, the one where it is there or is not."""
    return found.matcher.matcher_list.matchers[0].on_match if there else found.matcher.on_no_match


def test_a_model_version_is_a_cluster_of_the_endpoints_that_have_it_ready() -> None:
    now = snapshot(SOCKETS, TWO)
    assert set(now.resources[CLUSTER_TYPE]) == {"small/1", "small/2", BRAIN_CLUSTER}
    assert addresses(now, "small/1") == ["10.0.0.1:1", "10.0.0.2:1"]
    assert addresses(now, "small/2") == ["10.0.0.1:1"]


def test_a_request_is_routed_by_the_model_and_version_in_its_message() -> None:
    now = snapshot(SOCKETS, TWO)
    assert by_message(now, "small", "1").route.cluster == "small/1"
    assert by_message(now, "small", "2").route.cluster == "small/2"


def test_a_request_is_routed_by_its_headers() -> None:
    now = snapshot(SOCKETS, TWO)
    assert by_header(now, "small", "1").route.cluster == "small/1"


def test_no_version_means_the_default_version() -> None:
    now = snapshot(SOCKETS, ALIKE)
    assert by_message(now, "small", "").route.cluster == "small/2"
    assert by_header(now, "small", None).route.cluster == "small/2"


def test_where_endpoints_differ_in_their_versions_a_message_is_read_unless_the_headers_say_one() -> None:
    now = snapshot(SOCKETS, TWO)
    for named, expected in {"1": "small/1", "2": "small/2", "": "small/2"}.items():
        assert by_header(now, "small", named).route.cluster == expected
        assert by_header(now, "small", None, read=message_key("small", named)).route.cluster == expected
    assert by_header(now, "small", None).route.cluster == BRAIN_CLUSTER


def test_what_the_brain_has_read_and_names_no_version_goes_to_the_default_one() -> None:
    assert by_header(snapshot(SOCKETS, TWO), "small", None, forwarded=True).route.cluster == "small/2"


def test_a_step_may_not_go_by_the_hash_of_another_version() -> None:
    models = (replace(version("small:1"), stateful=True), "small:2*")
    now = snapshot(SOCKETS, inventory(endpoint("10.0.0.1:1", *models), endpoint("10.0.0.2:1", *models)))
    assert by_header(now, "small", None).route.cluster == BRAIN_CLUSTER


def test_what_is_in_no_tree_goes_to_the_brain() -> None:
    now = snapshot(SOCKETS, TWO)
    assert by_message(now, "large", "").route.cluster == BRAIN_CLUSTER
    assert by_header(now, "small", "9").route.cluster == BRAIN_CLUSTER


def test_with_no_model_at_all_everything_goes_to_the_brain() -> None:
    assert route(tree(snapshot(SOCKETS, NOTHING)).on_no_match).route.cluster == BRAIN_CLUSTER


def test_methods_of_the_fleet_go_to_the_brain_before_any_model_is_looked_at() -> None:
    routes = RouteConfiguration.FromString(snapshot(SOCKETS, TWO).resources[ROUTE_TYPE][ROUTES].body)
    by_path = routes.virtual_hosts[0].matcher.matcher_tree.exact_match_map.map
    for path in ("/inference.GRPCInferenceService/RepositoryModelLoad", "/grpc.health.v1.Health/Check"):
        assert route(by_path[path]).route.cluster == BRAIN_CLUSTER


def test_the_service_is_told_what_was_routed() -> None:
    explicit, default = (
        by_message(snapshot(SOCKETS, TWO), "small", "1"),
        by_message(snapshot(SOCKETS, TWO), "small", ""),
    )
    assert {h.header.key: h.header.value for h in explicit.request_headers_to_add} == {
        "argosy-model": "small",
        "argosy-version": "1",
    }
    assert {h.header.key: h.header.value for h in default.request_headers_to_add} == {"argosy-model": "small"}
    assert "argosy-version" in default.request_headers_to_remove


def test_a_route_has_no_time_limit_of_its_own_and_keeps_the_callers() -> None:
    action = by_message(snapshot(SOCKETS, TWO), "small", "1").route
    assert action.timeout.ToNanoseconds() == 0
    assert action.max_stream_duration.HasField("grpc_timeout_header_max")


def test_the_same_inventory_makes_the_same_snapshot_whatever_the_order_of_the_reports() -> None:
    one, other = TWO.endpoints.values()
    assert snapshot(SOCKETS, inventory(other, one)) == snapshot(SOCKETS, inventory(one, other))


def test_a_lost_endpoint_changes_its_load_assignment_and_not_its_cluster() -> None:
    lost = inventory(*(replace(one, link=Link.LOST) if "0.1" in one.address else one for one in TWO.endpoints.values()))
    before, after = snapshot(SOCKETS, TWO), snapshot(SOCKETS, lost)
    assert before.version != after.version
    assert before.resources[CLUSTER_TYPE]["small/1"] == after.resources[CLUSTER_TYPE]["small/1"]
    assert before.resources[LISTENER_TYPE] == after.resources[LISTENER_TYPE]
    assert addresses(after, "small/1") == ["10.0.0.2:1"]


def test_a_cluster_is_known_to_envoy_by_its_own_name() -> None:
    for name, resource in snapshot(SOCKETS, TWO).resources[CLUSTER_TYPE].items():
        assert Cluster.FromString(resource.body).name == name


def test_the_public_port_is_not_shared_with_another_router() -> None:
    listener = Listener.FromString(snapshot(SOCKETS, NOTHING).resources[LISTENER_TYPE]["argosy"].body)
    assert listener.HasField("enable_reuse_port")
    assert not listener.enable_reuse_port.value
    assert listener.address.socket_address.port_value == 8500


def test_only_plain_names_are_routed() -> None:
    assert is_routable("all-MiniLM_L6.v2", "1")
    assert not any(is_routable(name, "1") for name in ("", 'a"b', "a/b", "a b", "é", "x" * 129, "-a"))


def test_a_step_goes_to_the_endpoint_that_its_sequence_hashes_to_and_is_not_tried_again() -> None:
    of = snapshot(SOCKETS, inventory(endpoint("h:1", replace(version("small:1*"), stateful=True), "large:1*")))
    steps = tree(of).matcher_tree.exact_match_map.map["small"].matcher.matcher_tree.exact_match_map.map["1"].matcher
    step = route(steps.matcher_list.matchers[0].on_match)
    assert [policy.header.header_name for policy in step.route.hash_policy] == ["argosy-sequence"]
    assert not step.route.HasField("retry_policy")
    assert route(steps.on_no_match).route.cluster == BRAIN_CLUSTER
    policies = {name: Cluster.FromString(r.body).lb_policy for name, r in of.resources[CLUSTER_TYPE].items()}
    assert (policies["small/1"], policies["large/1"]) == (Cluster.LbPolicy.MAGLEV, Cluster.LbPolicy.LEAST_REQUEST)
