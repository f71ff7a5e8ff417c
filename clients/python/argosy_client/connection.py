"""The one channel that all calls of a fleet share, and what holds for each of them.

Measured defaults of gRPC do not suit this traffic: 4 MiB replies, a frozen peer noticed after minutes, a proxy of the
environment asked for 127.0.0.1. What is here is set once. gRPC's own retries stay off: the fleet says when to retry.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from argosy_client.errors import unusable_input
from argosy_client.replies import Reply

MAX_MESSAGE_BYTES = 64 << 20
MODEL_HEADER = "argosy-model"
VERSION_HEADER = "argosy-version"
# https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, Custom-Metadata.
_HEADER_NAME = re.compile(r"[0-9a-z_.-]+")
_HEADER_VALUE = re.compile(r"[ -~]*")
KEEPALIVE = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 2_000),
    # Without it a frozen peer is noticed after a minute.
    ("grpc.http2.ping_timeout_ms", 2_000),
)


@dataclass(frozen=True, slots=True)
class Options:
    """How a fleet is called.

    `timeout_s` bounds a call with all its retries. `tls_ca`: a PEM file of the certificates to trust; None: plaintext.
    `metadata` goes with every call, an API key for instance. `on_reply` hears of every answer: model and timing.
    """

    timeout_s: float = 10.0
    tls_ca: Path | None = None
    max_message_bytes: int = MAX_MESSAGE_BYTES
    # A call of so many inputs fills a batch.
    max_rows_per_call: int = 32
    # Half the limit leaves room for the message around them.
    max_input_bytes_per_call: int = MAX_MESSAGE_BYTES // 2
    metadata: Mapping[str, str | bytes] = field(default_factory=dict)
    on_reply: Callable[[str, Reply[object]], None] | None = None

    def channel_arguments(self, address: str) -> list[tuple[str, int]]:
        """https://grpc.github.io/grpc/core/group__grpc__arg__keys.html."""
        arguments = [
            ("grpc.max_send_message_length", self.max_message_bytes),
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.enable_retries", 0),
            *KEEPALIVE,
        ]
        return [*arguments, *([("grpc.enable_http_proxy", 0)] if _is_loopback(address) else [])]


def routed(headers: Mapping[str, str | bytes], model: str, version: str) -> dict[str, str | bytes]:
    """The caller's own headers, and what spares the router a look into the message: model and version as it names them,
    '' for the default one. Where it names none a version of the caller's own stays. Raises InvalidInputError for what
    no header holds.
    """
    own = {name.lower(): value for name, value in headers.items()}
    for name, value in own.items():
        _check(name, value)
    if not model:
        return own
    for what, name in (("model", model), ("version", version)):
        if not _HEADER_VALUE.fullmatch(name):
            raise unusable_input(f"{name!r}: a header holds printable ASCII alone", what)
    return {**own, MODEL_HEADER: model, VERSION_HEADER: version or own.get(VERSION_HEADER, "")}


def _check(name: str, value: str | bytes) -> None:
    """Else gRPC would call it INTERNAL. The value is not told: it may be a key."""
    if not _HEADER_NAME.fullmatch(name):
        raise unusable_input(f"{name!r} is no name of a header", "metadata")
    if name.endswith("-bin"):
        if not isinstance(value, bytes):
            raise unusable_input("a header whose name ends in -bin holds bytes", f"metadata.{name}")
    elif not _HEADER_VALUE.fullmatch(value.decode("latin-1") if isinstance(value, bytes) else value):
        raise unusable_input("a header holds printable ASCII alone", f"metadata.{name}")


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0]
    return host in ("localhost", "[::1]") or host.startswith("127.")
