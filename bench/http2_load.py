"""gRPC load that costs little: one unary request over and over, as frames that were made beforehand.

A gRPC client in Python spends more on a request than the servers measured here, so that it would measure itself. A
connection's first request puts its headers into the server's table, every later one names them there, as gRPC's clients
do (RFC 7541); so a request is two or three frames with another stream id, and of an answer only the frames' heads and
the message are read. It knows no more of HTTP/2 (RFC 9113) than that: no TLS, no priorities, messages within one stream
window. Every answer's message is handed to the caller's check; a stream that ends without one is an error.
"""

import selectors
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
INITIAL_WINDOW = 65_535
LARGEST_WINDOW = (1 << 31) - 1
FRAME_BYTES = 16_384
FIRST_STREAM = 1
# RFC 7541: entries 3 and 6 of the fixed table, and the first place after it, where the newest header is.
POST_OVER_HTTP = b"\x83\x86"
FIRST_PLACE = 62
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Call:
    """A unary request, and what every answer to it must satisfy."""

    method: str
    message: bytes
    metadata: Mapping[str, str]
    is_right: Callable[[bytes], bool]


@dataclass(slots=True)
class Answered:
    """Latencies in seconds, in the order of the answers."""

    latencies_s: list[float] = field(default_factory=list)
    elapsed_s: float = 0.0
    errors: int = 0


def run_load(address: str, call: Call, in_flight: int, connections: int, count: int) -> Answered:
    """Send `count` requests, `in_flight` at a time over all `connections`. Raises OSError where one is lost."""
    answered = Answered()
    with selectors.DefaultSelector() as selector:
        opened = [_Connection(address, call, answered) for _ in range(connections)]
        for connection in opened:
            selector.register(connection.tcp, selectors.EVENT_READ, connection)
        begun = time.perf_counter()
        left = count
        for number in range(min(in_flight, count)):
            opened[number % connections].ask()
            left -= 1
        for connection in opened:
            connection.flush()
        while len(answered.latencies_s) + answered.errors < count:
            for key, _ in selector.select(TIMEOUT_S) or _too_late():
                left = key.data.turn(left)
        answered.elapsed_s = time.perf_counter() - begun
        for connection in opened:
            connection.tcp.close()
    return answered


class _Connection:
    """One connection: what it may still send, and the streams that wait for an answer."""

    def __init__(self, address: str, call: Call, answered: Answered) -> None:
        host, _, port = address.rpartition(":")
        self.tcp = socket.create_connection((host, int(port)), TIMEOUT_S)
        self.tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._call, self._answered = call, answered
        self._first_headers, self._later_headers = _header_blocks(call, address)
        self._message = b"\0" + struct.pack(">I", len(call.message)) + call.message
        if len(self._message) > INITIAL_WINDOW:
            raise ValueError("a message of this load must fit into one stream's window")
        self._next_stream = FIRST_STREAM
        self._window = INITIAL_WINDOW
        self._held: deque[int] = deque()
        self._waiting: dict[int, float] = {}
        self._messages: dict[int, bytes] = {}
        self._received = b""
        window = struct.pack(">HI", 4, LARGEST_WINDOW)
        self._out = bytearray(PREFACE + _frame(SETTINGS, 0, 0, window))
        self._out += _frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", LARGEST_WINDOW - INITIAL_WINDOW))

    def ask(self) -> None:
        """One more request; it goes out with `flush`, as soon as the server's window lets it."""
        self._waiting[self._next_stream] = time.perf_counter()
        self._held.append(self._next_stream)
        self._next_stream += 2

    def flush(self) -> None:
        while self._held and self._window >= len(self._message):
            self._send_request(self._held.popleft())
        if self._out:
            self.tcp.sendall(self._out)
            self._out.clear()

    def turn(self, left: int) -> int:
        """Read what has come and ask anew for each answer while any of `left` are; how many are left then."""
        received = self.tcp.recv(1 << 18)
        if not received:
            raise OSError("the server closed the connection")
        before = len(self._waiting)
        self._read(self._received + received)
        for _ in range(min(left, before - len(self._waiting))):
            self.ask()
            left -= 1
        self.flush()
        return left

    def _send_request(self, stream: int) -> None:
        self._window -= len(self._message)
        headers = self._first_headers if stream == FIRST_STREAM else self._later_headers
        self._out += _frame(HEADERS, END_HEADERS, stream, headers)
        for start in range(0, len(self._message), FRAME_BYTES):
            part = self._message[start : start + FRAME_BYTES]
            last = start + FRAME_BYTES >= len(self._message)
            self._out += _frame(DATA, END_STREAM if last else 0, stream, part)

    def _read(self, buffer: bytes) -> None:
        position, end = 0, len(buffer)
        while position + 9 <= end:
            length = int.from_bytes(buffer[position : position + 3], "big")
            if position + 9 + length > end:
                break
            kind, flags = buffer[position + 3], buffer[position + 4]
            stream = int.from_bytes(buffer[position + 5 : position + 9], "big")
            self._take(kind, flags, stream, buffer[position + 9 : position + 9 + length])
            position += 9 + length
        self._received = buffer[position:]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == DATA:
            self._messages[stream] = self._messages.get(stream, b"") + payload
        elif kind == WINDOW_UPDATE and stream == 0:
            self._window += int.from_bytes(payload, "big")
        elif kind in (SETTINGS, PING) and not flags & ACK:
            self._out += _frame(kind, ACK, 0, payload if kind == PING else b"")
        elif kind == GOAWAY:
            raise OSError("the server sent GOAWAY")
        if stream and (kind == RST_STREAM or (kind in (DATA, HEADERS) and flags & END_STREAM)):
            self._finish(stream)

    def _finish(self, stream: int) -> None:
        begun = self._waiting.pop(stream)
        message = self._messages.pop(stream, b"")
        if len(message) > 5 and self._call.is_right(message[5:]):
            self._answered.latencies_s.append(time.perf_counter() - begun)
        else:
            self._answered.errors += 1


def _header_blocks(call: Call, address: str) -> tuple[bytes, bytes]:
    """Of a connection's first request and of every later one. Lengths below 127 take one byte."""
    headers = {
        ":path": call.method,
        ":authority": address,
        "te": "trailers",
        "content-type": "application/grpc",
        "user-agent": "grpc-argosy-load/1",
        "grpc-accept-encoding": "identity, deflate, gzip",
        **call.metadata,
    }
    literals = b"".join(
        b"\x40" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in headers.items()
    )
    places = bytes(0x80 | FIRST_PLACE + place for place in reversed(range(len(headers))))
    return POST_OVER_HTTP + literals, POST_OVER_HTTP + places


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _too_late() -> list[tuple[selectors.SelectorKey, int]]:
    raise TimeoutError(f"no answer for {TIMEOUT_S} s")
