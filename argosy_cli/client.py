"""Calls to the fleet, by the client package that every caller has, with errors as a person at a terminal needs them.

The channel, the routing headers, the timing trailers and the retries are argosy_client's. Here every error becomes one
line that says what to do.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

import argosy_client
from argosy.v1 import model_pb2
from argosy.v1.manifest_pb2 import ModelManifest
from argosy_cli.errors import CliError
from argosy_cli.inputs import utf8_text
from argosy_client import ArgosyError, Options, Reply, Timing
from argosy_client.connection import KEEPALIVE, MAX_MESSAGE_BYTES, routed
from argosy_client.methods import Method, Request, Response

__all__ = ["CHANNEL_OPTIONS", "Fleet", "Reply", "Timing", "connect", "routed"]

# For channels that wait for a fleet that is starting, which argosy_client has no need to do.
CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    *KEEPALIVE,
)


@dataclass(frozen=True, slots=True)
class Fleet:
    """An open connection to a router or straight to a service; every call ends within `timeout_s`."""

    address: str
    client: argosy_client.Fleet
    timeout_s: float

    def call(self, method: Method[Request, Response], request: Request, model: str = "") -> Reply[Response]:
        """One call. Raises CliError for every error."""
        try:
            return self.client.call(method, request, model)
        except ArgosyError as error:
            raise self.problem(error) from None

    def statuses(self, model: str = "") -> Sequence[model_pb2.ModelStatus]:
        """The versions of `model`, or of every model. Raises CliError."""
        try:
            return self.client.models(model)
        except ArgosyError as error:
            raise self.problem(error) from None

    def manifest(self, model: str, version: str = "") -> ModelManifest:
        """The manifest of a model-version; '' is the default one. Raises CliError."""
        utf8_text(model, "the model's name")
        utf8_text(version, "the version")
        try:
            return self.client.manifest(model, version)
        except ArgosyError as error:
            raise self.problem(error) from None

    def problem(self, error: ArgosyError) -> CliError:
        """The error in one line that says what to do."""
        return CliError(_line(error, self.address, self.timeout_s))


@contextmanager
def connect(address: str, timeout_s: float) -> Iterator[Fleet]:
    """A connection that is closed at the end of the block. It connects with the first call."""
    with argosy_client.Fleet(address, Options(timeout_s=timeout_s)) as client:
        yield Fleet(address, client, timeout_s)


def _line(error: ArgosyError, address: str, timeout_s: float) -> str:
    details = " ".join(error.message.split())
    if error.status is grpc.StatusCode.UNAVAILABLE and not error.reason and _never_connected(details):
        return f"no fleet at {address}: start one with `argosy up`"
    if error.status is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"no answer from {address} within {timeout_s:g} s: allow more with --timeout ({details})"
    if error.reason == "UNKNOWN_MODEL":
        return f"{details}: `argosy models` lists what is served"
    return f"{details} ({error.reason or error.status.name})"


def _never_connected(details: str) -> bool:
    # gRPC's own words: the status alone does not tell an absent server from one that is busy.
    return "failed to connect" in details or "Connection refused" in details or "DNS resolution failed" in details
