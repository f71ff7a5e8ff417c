"""Opening a channel, blocking or for asyncio, plaintext or TLS."""

import grpc
from grpc import aio

from argosy_client.connection import Options
from argosy_client.errors import unusable_input


def open_channel(address: str, options: Options) -> grpc.Channel:
    """It connects with the first call. Raises InvalidInputError where the PEM file cannot be read."""
    arguments = options.channel_arguments(address)
    if options.tls_ca is None:
        return grpc.insecure_channel(address, arguments)
    return grpc.secure_channel(address, _credentials(options), arguments)


def open_aio_channel(address: str, options: Options) -> aio.Channel:
    """As `open_channel`, on the running event loop."""
    arguments = options.channel_arguments(address)
    if options.tls_ca is None:
        return aio.insecure_channel(address, arguments)
    return aio.secure_channel(address, _credentials(options), arguments)


def _credentials(options: Options) -> grpc.ChannelCredentials:
    assert options.tls_ca is not None
    try:
        return grpc.ssl_channel_credentials(options.tls_ca.read_bytes())
    except OSError as error:
        raise unusable_input(f"{options.tls_ca}: {error.strerror or 'cannot be read'}", "tls_ca") from None
