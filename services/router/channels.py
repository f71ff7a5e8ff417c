"""gRPC channels to endpoints, one each, shared by watchers and the brain; and the options of our own servers.

A channel tries to connect for as long as it is open: those to endpoints that the fleet has forgotten are closed.
"""

import asyncio
from collections.abc import Iterable

import grpc.aio

from services.runtime.front import Limits

ChannelOption = tuple[str, int | str]

# grpcio takes 60 s for a peer that is frozen unless the ping's own timeout is set beside the keepalive's.
OPTIONS: tuple[ChannelOption, ...] = (
    # What may come out of a service is the service's to bound.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.http2.ping_timeout_ms", 2_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # Endpoints are named by address: a proxy of the environment is none of theirs.
    ("grpc.enable_http_proxy", 0),
)

# Envoy pings both servers of the router every 10 s; grpcio would count that as abuse and close the connection.
SERVER_OPTIONS: tuple[ChannelOption, ...] = (
    # As much metadata as a service takes; between two different limits grpcio refuses at random.
    ("grpc.max_metadata_size", Limits().max_metadata_bytes),
    ("grpc.absolute_max_metadata_size", Limits().max_metadata_bytes),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


# The longest call to an endpoint. Warm-up is part of a load, and a caller may have set no deadline.
LOAD_TIMEOUT_S = 600.0


class Channels:
    """Channels by address, opened when first asked for."""

    def __init__(self) -> None:
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def to(self, address: str) -> grpc.aio.Channel:
        if address not in self._channels:
            self._channels[address] = grpc.aio.insecure_channel(address, options=OPTIONS)
        return self._channels[address]

    def keep_only(self, addresses: Iterable[str]) -> None:
        """Forget the channels to all other addresses, and close each once the calls on it have ended."""
        for address in self._channels.keys() - set(addresses):
            closing = asyncio.create_task(self._channels.pop(address).close(LOAD_TIMEOUT_S))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close all of them now."""
        for closing in self._closing:
            closing.cancel()
        for channel in self._channels.values():
            await channel.close()
