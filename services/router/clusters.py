"""Envoy's clusters: one a model-version, with the endpoints that have it ready, and one for the brain.

A cluster's own contents depend on its name and on whether its model keeps a state, nothing else: replicas come and go
through its load assignment, so Envoy keeps its connections, and its count of what is in flight, over every change.
"""

from collections.abc import Iterable

from envoy.config.cluster.v3.circuit_breaker_pb2 import CircuitBreakers
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.cluster.v3.outlier_detection_pb2 import OutlierDetection
from envoy.config.core.v3.health_check_pb2 import HealthCheck
from envoy.config.endpoint.v3.endpoint_components_pb2 import Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions

from services.router.xds_types import (
    BRAIN_CLUSTER,
    BUFFER_BYTES,
    connection_age,
    from_ads,
    http2_options,
    packed,
    seconds,
    tcp,
    unix,
)

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
# Queues are bounded where the work is, in the services' fronts: Envoy's own bounds only stop a runaway.
_RUNAWAY = {"value": 100_000}
# A replica that is killed fails all that it had in flight at once, and each of those is to be tried elsewhere: the
# budget's 20 % alone, of what is in flight, would give up most of them. One connection carries at most this many.
_BURST = 1024


def cluster_name(model: str, version: str) -> str:
    return f"{model}/{version}"


def model_cluster(name: str, *, stateful: bool = False) -> Cluster:
    """The endpoints of one model-version: the one with the least in flight first or, of a model that keeps a state, the
    one that the hash of the sequence says, which changes for few sequences when an endpoint comes or goes.
    """
    return Cluster(
        name=name,
        type=Cluster.DiscoveryType.EDS,
        eds_cluster_config=Cluster.EdsClusterConfig(eds_config=from_ads()),
        lb_policy=Cluster.LbPolicy.MAGLEV if stateful else Cluster.LbPolicy.LEAST_REQUEST,
        # An endpoint that is out must stay out: better a quick UNAVAILABLE than a request into the void.
        common_lb_config=Cluster.CommonLbConfig(healthy_panic_threshold={"value": 0}),
        connect_timeout=seconds(1),
        per_connection_buffer_limit_bytes={"value": BUFFER_BYTES},
        circuit_breakers=_circuit_breakers(),
        outlier_detection=_outlier_detection(),
        health_checks=[_health_check()],
        # What the services report is newer than what was checked: an endpoint that is taken away goes at once.
        ignore_health_on_host_removal=True,
        typed_extension_protocol_options=_grpc(),
    )


def brain_cluster(socket_path: str) -> Cluster:
    """The router's own process: whatever Envoy cannot place."""
    return Cluster(
        name=BRAIN_CLUSTER,
        type=Cluster.DiscoveryType.STATIC,
        connect_timeout=seconds(1),
        per_connection_buffer_limit_bytes={"value": BUFFER_BYTES},
        circuit_breakers=_circuit_breakers(),
        typed_extension_protocol_options=_grpc(),
        load_assignment=_assignment(BRAIN_CLUSTER, [Endpoint(address=unix(socket_path))]),
    )


def load_assignment(name: str, addresses: Iterable[str]) -> ClusterLoadAssignment:
    """Who serves the model-version `name` now."""
    return _assignment(name, [Endpoint(address=tcp(address)) for address in addresses])


def _assignment(name: str, endpoints: Iterable[Endpoint]) -> ClusterLoadAssignment:
    hosts = [LbEndpoint(endpoint=endpoint) for endpoint in endpoints]
    return ClusterLoadAssignment(cluster_name=name, endpoints=[LocalityLbEndpoints(lb_endpoints=hosts)])


def _grpc() -> dict[str, object]:
    return {
        _HTTP_OPTIONS: packed(
            HttpProtocolOptions(
                common_http_protocol_options=connection_age(),
                explicit_http_config=HttpProtocolOptions.ExplicitHttpConfig(http2_protocol_options=http2_options()),
            )
        )
    }


def _circuit_breakers() -> CircuitBreakers:
    return CircuitBreakers(
        thresholds=[
            CircuitBreakers.Thresholds(
                max_connections=_RUNAWAY,
                max_pending_requests=_RUNAWAY,
                max_requests=_RUNAWAY,
                retry_budget=CircuitBreakers.Thresholds.RetryBudget(
                    budget_percent={"value": 20}, min_retry_concurrency={"value": _BURST}
                ),
            )
        ]
    )


def _outlier_detection() -> OutlierDetection:
    """Five failures in a row put an endpoint out for 30 s, then longer.

    A failure is a connection that fails or UNAVAILABLE and its kin; a model's own INTERNAL is not the endpoint's fault.
    """
    return OutlierDetection(
        split_external_local_origin_errors=True,
        consecutive_local_origin_failure={"value": 5},
        enforcing_consecutive_local_origin_failure={"value": 100},
        consecutive_gateway_failure={"value": 5},
        enforcing_consecutive_gateway_failure={"value": 100},
        enforcing_consecutive_5xx={"value": 0},
        enforcing_success_rate={"value": 0},
        enforcing_local_origin_success_rate={"value": 0},
        base_ejection_time=seconds(30),
        interval=seconds(1),
        max_ejection_percent={"value": 50},
    )


def _health_check() -> HealthCheck:
    """grpc.health.v1 for the endpoint as a whole; seldom where it is healthy and nobody calls, so that many models cost
    little; soon where it is not yet, so that one that was asked while it loaded is not left out for long.
    """
    return HealthCheck(
        timeout=seconds(1),
        interval=seconds(2),
        interval_jitter_percent=10,
        no_traffic_interval=seconds(1),
        no_traffic_healthy_interval=seconds(10),
        unhealthy_threshold={"value": 2},
        healthy_threshold={"value": 1},
        # Otherwise it is the cluster's name, whose '/' no authority may have: strict servers refuse such a call.
        grpc_health_check=HealthCheck.GrpcHealthCheck(authority="argosy"),
    )
