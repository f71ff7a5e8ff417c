"""What Envoy is started with: where its control plane is and where to administer it. All else comes over ADS."""

from envoy.config.bootstrap.v3.bootstrap_pb2 import Admin, Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.base_pb2 import Node
from envoy.config.core.v3.config_source_pb2 import ApiConfigSource, ApiVersion
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.config.endpoint.v3.endpoint_components_pb2 import Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.overload.v3.overload_pb2 import (
    BufferFactoryConfig,
    OverloadAction,
    OverloadManager,
    ResourceMonitor,
    ScaledTrigger,
    ThresholdTrigger,
    Trigger,
)
from envoy.extensions.resource_monitors.downstream_connections.v3.downstream_connections_pb2 import (
    DownstreamConnectionsConfig,
)
from envoy.extensions.resource_monitors.fixed_heap.v3.fixed_heap_pb2 import FixedHeapConfig
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from google.protobuf.json_format import MessageToJson

from services.router.xds_types import ADS_CLUSTER, from_ads, http2_options, packed, seconds, unix

_MAX_CONNECTIONS = 10_000
_HEAP = "envoy.resource_monitors.fixed_heap"
# Calls that hold less than 2**16 bytes are never ended: as many as there may be hold little.
_HEAVY_CALL_EXPONENT = 16


def bootstrap_json(ads_path: str, admin_path: str, max_heap_bytes: int) -> str:
    """Envoy's bootstrap configuration; both paths are Unix sockets."""
    bootstrap = Bootstrap(
        node=Node(id="argosy-router", cluster="argosy"),
        admin=Admin(address=unix(admin_path)),
        overload_manager=_overload_manager(max_heap_bytes),
        static_resources=Bootstrap.StaticResources(clusters=[_ads_cluster(ads_path)]),
        dynamic_resources=Bootstrap.DynamicResources(
            ads_config=ApiConfigSource(
                api_type=ApiConfigSource.ApiType.DELTA_GRPC,
                transport_api_version=ApiVersion.V3,
                grpc_services=[GrpcService(envoy_grpc=GrpcService.EnvoyGrpc(cluster_name=ADS_CLUSTER))],
            ),
            cds_config=from_ads(),
            lds_config=from_ads(),
        ),
    )
    return MessageToJson(bootstrap, preserving_proto_field_name=True)


def _overload_manager(max_heap_bytes: int) -> OverloadManager:
    """Envoy holds a message while it looks for the model in it, and until it is answered, to send it again: callers can
    fill the heap. The calls that hold most are ended first, so that the others go on, and nothing new is taken where
    that is not enough. In this order: refused calls free nothing, and callers who hold much need not ever end.
    """
    return OverloadManager(
        refresh_interval=seconds(0.1),
        resource_monitors=[_connection_limit(), _heap_limit(max_heap_bytes)],
        buffer_factory_config=BufferFactoryConfig(minimum_account_to_track_power_of_two=_HEAVY_CALL_EXPONENT),
        actions=[
            _at_heap("shrink_heap", threshold=ThresholdTrigger(value=0.75)),
            _at_heap("reset_high_memory_stream", scaled=ScaledTrigger(scaling_threshold=0.8, saturation_threshold=0.9)),
            _at_heap("stop_accepting_requests", threshold=ThresholdTrigger(value=0.9)),
        ],
    )


def _at_heap(action: str, **when: object) -> OverloadAction:
    return OverloadAction(name=f"envoy.overload_actions.{action}", triggers=[Trigger(name=_HEAP, **when)])


def _heap_limit(max_heap_bytes: int) -> ResourceMonitor:
    return ResourceMonitor(name=_HEAP, typed_config=packed(FixedHeapConfig(max_heap_size_bytes=max_heap_bytes)))


def _connection_limit() -> ResourceMonitor:
    """A bound on callers' connections: each holds a file descriptor and buffers."""
    return ResourceMonitor(
        name="envoy.resource_monitors.global_downstream_max_connections",
        typed_config=packed(DownstreamConnectionsConfig(max_active_downstream_connections=_MAX_CONNECTIONS)),
    )


def _ads_cluster(ads_path: str) -> Cluster:
    options = HttpProtocolOptions(
        explicit_http_config=HttpProtocolOptions.ExplicitHttpConfig(http2_protocol_options=http2_options())
    )
    host = LbEndpoint(endpoint=Endpoint(address=unix(ads_path)))
    return Cluster(
        name=ADS_CLUSTER,
        type=Cluster.DiscoveryType.STATIC,
        connect_timeout=seconds(1),
        typed_extension_protocol_options={
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": packed(options),
        },
        load_assignment=ClusterLoadAssignment(
            cluster_name=ADS_CLUSTER, endpoints=[LocalityLbEndpoints(lb_endpoints=[host])]
        ),
    )
