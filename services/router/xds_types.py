"""Small pieces that every Envoy resource is made of, and what the resources are called between them."""

from envoy.config.core.v3.address_pb2 import Address, Pipe, SocketAddress
from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.config.core.v3.config_source_pb2 import AggregatedConfigSource, ApiVersion, ConfigSource
from envoy.config.core.v3.protocol_pb2 import Http2ProtocolOptions, HttpProtocolOptions, KeepaliveSettings
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from services.runtime.addresses import split_address
from services.runtime.front import MEBIBYTE

MAX_MESSAGE_BYTES = 64 * MEBIBYTE
# A message a little over the limit still gets to where its size can be told to the caller.
BUFFER_BYTES = MAX_MESSAGE_BYTES + 64 * 1024

_STREAMS = 1024

BRAIN_CLUSTER = "argosy-brain"
ADS_CLUSTER = "argosy-ads"
ROUTES = "argosy-routes"
MODEL_HEADER = "argosy-model"
VERSION_HEADER = "argosy-version"
# Which sequence a call is a step of: what it is hashed by where the model keeps a state.
SEQUENCE_HEADER = "argosy-sequence"
# Marks what the brain has forwarded: it must not come back to the brain to be forwarded again.
FORWARDED_HEADER = "argosy-forwarded"


def packed(message: Message) -> AnyMessage:
    """`message` in an Any whose bytes depend on its contents alone."""
    wrapped = AnyMessage()
    wrapped.Pack(message, deterministic=True)
    return wrapped


def seconds(value: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(round(value * 1e9))
    return duration


def tcp(address: str) -> Address:
    host, port = split_address(address)
    return Address(socket_address=SocketAddress(address=host, port_value=port))


def unix(path: str) -> Address:
    return Address(pipe=Pipe(path=path, mode=0o600))


def from_ads() -> ConfigSource:
    """'Ask the ADS stream that you have.'"""
    return ConfigSource(ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3)


def overwritten(name: str, value: str) -> HeaderValueOption:
    """A header that is set whatever was sent."""
    return HeaderValueOption(
        header=HeaderValue(key=name, value=value),
        append_action=HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def http2_options() -> Http2ProtocolOptions:
    """Windows wide enough for tensors, pings that find a frozen peer in seconds."""
    return Http2ProtocolOptions(
        max_concurrent_streams={"value": _STREAMS},
        initial_stream_window_size={"value": MEBIBYTE},
        # Room for every stream's window: a caller who does not read its answer must not hold up the others'.
        initial_connection_window_size={"value": _STREAMS * MEBIBYTE},
        connection_keepalive=KeepaliveSettings(interval=seconds(10), timeout=seconds(2)),
    )


def connection_age() -> HttpProtocolOptions:
    """Connections are replaced after ten minutes: then new replicas get their share."""
    return HttpProtocolOptions(max_connection_duration=seconds(600), idle_timeout=seconds(3600))
