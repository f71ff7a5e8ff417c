"""One gRPC call frame by frame, for what no gRPC library would send: a deadline that has passed on arrival."""

import socket

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset, TrailersReceived

TIMEOUT_S = 20.0


def call_with_timeout(address: str, method: str, message: bytes, grpc_timeout: str) -> dict[str, str]:
    """The headers and trailers of the answer to a unary call with the header `grpc-timeout`."""
    host, _, port = address.rpartition(":")
    connection = H2Connection(H2Configuration(header_encoding="utf-8"))
    with socket.create_connection((host, int(port)), TIMEOUT_S) as tcp:
        connection.initiate_connection()
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", method),
            (":authority", address),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("grpc-timeout", grpc_timeout),
        ]
        connection.send_headers(1, headers)
        connection.send_data(1, b"\0" + len(message).to_bytes(4, "big") + message, end_stream=True)
        found: dict[str, str] = {}
        while not _read(connection, tcp, found):
            pass
    return found


def _read(connection: H2Connection, tcp: socket.socket, found: dict[str, str]) -> bool:
    """One turn of the connection; whether the call has ended."""
    tcp.sendall(connection.data_to_send())
    received = tcp.recv(1 << 16)
    events: list[Event] = connection.receive_data(received)
    for event in events:
        if isinstance(event, ResponseReceived | TrailersReceived):
            found.update(dict(event.headers))
        if isinstance(event, DataReceived):
            connection.acknowledge_received_data(event.flow_controlled_length, 1)
        if isinstance(event, StreamReset):
            found["reset"] = str(event.error_code)
    tcp.sendall(connection.data_to_send())
    return not received or any(isinstance(event, StreamEnded | StreamReset) for event in events)
