"""Envoy's listeners: the fleet's address, and an inner one on a Unix socket for what the brain forwards.

On the fleet's address the model of a request is found in one of two ways. A caller that sends the headers
`argosy-model` and `argosy-version`, the latter empty for the default one, has its message streamed through untouched.
For the others the message's fields 1 and 2 are read, which holds the whole message, and become a key that the routes
look up. A compressed message is not held: without the headers the brain takes it.
"""

import re
from collections.abc import Sequence

from envoy.config.core.v3.base_pb2 import DataSource
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.common.matching.v3.extension_matcher_pb2 import ExtensionWithMatcher
from envoy.extensions.filters.common.matcher.action.v3.skip_action_pb2 import SkipFilter
from envoy.extensions.filters.http.grpc_field_extraction.v3.config_pb2 import (
    FieldExtractions,
    GrpcFieldExtractionConfig,
    RequestFieldValueDisposition,
)
from envoy.extensions.filters.http.grpc_web.v3.grpc_web_pb2 import GrpcWeb
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
    Rds,
)
from xds.core.v3.extension_pb2 import TypedExtensionConfig as XdsExtension
from xds.type.matcher.v3.matcher_pb2 import Matcher
from xds.type.v3.typed_struct_pb2 import TypedStruct

from services.router.local_replies import local_replies
from services.router.methods import FLEET_METHODS, descriptor_set, model_methods
from services.router.routes import MESSAGE_KEY, header_matches
from services.router.xds_types import (
    BUFFER_BYTES,
    MODEL_HEADER,
    ROUTES,
    VERSION_HEADER,
    connection_age,
    from_ads,
    http2_options,
    packed,
    seconds,
    tcp,
    unix,
)

PUBLIC = "argosy"
INNER = "argosy-inner"

_EXTRACTION = "envoy.filters.http.grpc_field_extraction"
_WEB = "envoy.filters.http.grpc_web"


def public_listener(address: str) -> Listener:
    """Where callers connect, over HTTP/2 or, for the methods that every fleet has, as gRPC-Web."""
    filters = [
        HttpFilter(name="envoy.filters.http.match_delegate", typed_config=packed(_web_where_known())),
        HttpFilter(name="envoy.filters.http.match_delegate", typed_config=packed(_extraction_where_needed())),
        HttpFilter(name="envoy.filters.http.set_filter_state", typed_config=packed(_message_key())),
    ]
    # Two routers on one port would each get a part of the callers: the second one is to fail instead.
    return _listener(PUBLIC, filters, address=tcp(address), enable_reuse_port={"value": False})


def inner_listener(socket_path: str) -> Listener:
    """Where the brain sends what it has parsed, with the model in the header."""
    return _listener(INNER, [], address=unix(socket_path))


def _listener(name: str, filters: Sequence[HttpFilter], **where: object) -> Listener:
    manager = _connection_manager(name, filters)
    chain = FilterChain(filters=[Filter(name="http", typed_config=packed(manager))])
    return Listener(
        name=name, filter_chains=[chain], per_connection_buffer_limit_bytes={"value": BUFFER_BYTES}, **where
    )


def _connection_manager(name: str, filters: Sequence[HttpFilter]) -> HttpConnectionManager:
    router = HttpFilter(name="envoy.filters.http.router", typed_config=packed(Router(suppress_envoy_headers=True)))
    return HttpConnectionManager(
        stat_prefix=name,
        codec_type=HttpConnectionManager.CodecType.AUTO,
        http2_protocol_options=http2_options(),
        common_http_protocol_options=connection_age(),
        rds=Rds(config_source=from_ads(), route_config_name=ROUTES),
        http_filters=[*filters, router],
        local_reply_config=local_replies(),
        # Larger metadata is passed on, for the service refuses it by status; Envoy would close the connection.
        max_request_headers_kb={"value": 256},
        stream_idle_timeout=seconds(0),
        generate_request_id={"value": False},
        # x-envoy-* headers of a caller are dropped, wherever it comes from.
        use_remote_address={"value": True},
        internal_address_config=HttpConnectionManager.InternalAddressConfig(),
        skip_xff_append=True,
        server_header_transformation=HttpConnectionManager.ServerHeaderTransformation.PASS_THROUGH,
    )


def _web_where_known() -> ExtensionWithMatcher:
    """The gRPC-Web filter, skipped for all methods but those known by name: it counts by the names in the path for as
    long as the cluster lives, and a path may say anything.
    """
    known = "|".join(sorted(map(re.escape, {*model_methods(), *FLEET_METHODS})))
    unknown = Matcher.MatcherList.Predicate(not_matcher=header_matches(":path", known))
    return _skipped_where(unknown, TypedExtensionConfig(name=_WEB, typed_config=packed(GrpcWeb())))


def _extraction_where_needed() -> ExtensionWithMatcher:
    """The extraction filter, skipped where headers say model and version or the message is compressed."""
    predicate = Matcher.MatcherList.Predicate
    named = [header_matches(MODEL_HEADER, ".+"), header_matches(VERSION_HEADER, ".*")]
    said = predicate(and_matcher=predicate.PredicateList(predicate=named))
    packed_message = header_matches("grpc-encoding", "[^i].*")  # 'identity' is the one encoding that is none
    needless = predicate(or_matcher=predicate.PredicateList(predicate=[said, packed_message]))
    return _skipped_where(needless, TypedExtensionConfig(name=_EXTRACTION, typed_config=packed(_extraction())))


def _skipped_where(predicate: Matcher.MatcherList.Predicate, extension: TypedExtensionConfig) -> ExtensionWithMatcher:
    skip = Matcher.OnMatch(action=XdsExtension(name="skip", typed_config=packed(SkipFilter())))
    matchers = [Matcher.MatcherList.FieldMatcher(predicate=predicate, on_match=skip)]
    return ExtensionWithMatcher(
        extension_config=extension, xds_matcher=Matcher(matcher_list=Matcher.MatcherList(matchers=matchers))
    )


def _extraction() -> GrpcFieldExtractionConfig:
    as_metadata = RequestFieldValueDisposition()
    return GrpcFieldExtractionConfig(
        descriptor_set=DataSource(inline_bytes=descriptor_set()),
        extractions_by_method={
            method.rpc: FieldExtractions(
                request_field_extractions={method.model_field: as_metadata, method.version_field: as_metadata}
            )
            for method in model_methods().values()
        },
    )


def _message_key() -> TypedStruct:
    """The model and the version that were read, as one string; `routes.message_key` says how it looks."""
    methods = model_methods().values()
    model_fields = sorted({method.model_field for method in methods})
    version_fields = sorted({method.version_field for method in methods})
    # A message has one of the names: the others print as nothing.
    key = f"{''.join(map(_read_field, model_fields))}/{''.join(map(_read_field, version_fields))}"
    value = {
        "object_key": MESSAGE_KEY,
        "factory_key": "envoy.string",
        "format_string": {"text_format_source": {"inline_string": key}, "omit_empty_values": True},
    }
    # By name, not as a message: the published protos are older than Envoy and lack clear_route_cache.
    config = TypedStruct(type_url="type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config")
    config.value.update({"on_request_headers": [value], "clear_route_cache": True})
    return config


def _read_field(name: str) -> str:
    return f"%DYNAMIC_METADATA({_EXTRACTION}:{name})%"
