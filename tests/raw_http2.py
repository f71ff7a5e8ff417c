"""A caller frame by frame, for what no gRPC library would do: not read an answer, or be late before it has asked."""

import socket
from collections import Counter, defaultdict
from collections.abc import Iterable
from select import POLLIN, POLLRDHUP, poll

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.settings import SettingCodes, Settings

TIMEOUT_S = 20.0
_READ_BYTES = 1 << 16
_NOW_MS = 10
# Of a frame: what comes before its payload, and the type that says that the other side goes. RFC 9113, 4.1 and 6.8.
_HEAD_BYTES = 9
_GOAWAY = 7
# The last call of a first GOAWAY, which leaves it open which calls are still taken.
_ANY_CALL = (1 << 31) - 1


def framed(message: bytes) -> bytes:
    """A message as gRPC sends it, not packed."""
    return b"\0" + len(message).to_bytes(4, "big") + message


class RawConnection:
    """One connection, on which no answer's message is taken until `await_end`. By stream, so far: `answers`, headers
    and trailers, and `received`, bytes of the answer's message.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._address = address
        self._tcp = socket.create_connection((host, int(port)), TIMEOUT_S)
        self._readable = poll()  # select() takes no descriptor above 1023
        self._readable.register(self._tcp, POLLIN)
        self._http2 = H2Connection(H2Configuration(header_encoding="utf-8"))
        self._http2.local_settings = Settings(initial_values={SettingCodes.INITIAL_WINDOW_SIZE: 0})
        self._http2.initiate_connection()
        self.answers: defaultdict[int, dict[str, str]] = defaultdict(dict)
        self.received: Counter[int] = Counter()
        self._ended: set[int] = set()
        self._unread = b""
        self._last_call = _ANY_CALL
        self._turn()

    def __enter__(self) -> "RawConnection":
        return self

    def __exit__(self, *_: object) -> None:
        self._tcp.close()

    def begin(self, method: str, extra: Iterable[tuple[str, str]] = ()) -> int:
        """Open a call; its stream."""
        stream = self._http2.get_next_available_stream_id()
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", method),
            (":authority", self._address),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            *extra,
        ]
        self._http2.send_headers(stream, headers)
        return stream

    def end(self, stream: int, data: bytes = b"") -> None:
        """The last that a call sends."""
        self._http2.send_data(stream, data, end_stream=True)
        self._turn(wait=False)

    def send_unread(self, stream: int | None = None, data: bytes = b"") -> None:
        """Send without a look at what has come: a call's data, whatever has become of the call, or what was begun."""
        if stream is not None:
            self._http2.send_data(stream, data)
        self._tcp.sendall(self._http2.data_to_send())

    def send(self, stream: int, data: bytes, *, ends: bool = False) -> bytes:
        """As much of the data as the windows let through now; what is left."""
        while data and (window := self._http2.local_flow_control_window(stream)) > 0:
            size = min(window, len(data), self._http2.max_outbound_frame_size)
            self._http2.send_data(stream, data[:size], end_stream=ends and size == len(data))
            data = data[size:]
        self._turn(wait=False)
        return data

    def send_all(self, stream: int, data: bytes) -> None:
        """All of it, and the end of the call. Raises TimeoutError where the windows stay closed."""
        while data := self.send(stream, data, ends=True):
            if not self._http2.local_flow_control_window(stream):
                self._turn()

    def await_answer(self, stream: int) -> None:
        """Wait until the answer has begun: its message is sent as soon as it is taken."""
        while not self.answers[stream]:
            self._turn()

    def await_end(self, stream: int, *, takes: bool = True) -> None:
        """Take the answer of one call, or wait for the end of one that is not taken."""
        if stream in self._ended:
            return
        if takes:
            self._http2.increment_flow_control_window(1 << 24)
            self._http2.increment_flow_control_window(1 << 24, stream)
        while stream not in self._ended:
            self._turn()

    def await_goaway(self) -> int:
        """Wait until the other side takes no more calls; the last stream that it still answers."""
        while self._last_call == _ANY_CALL:
            self._turn()
        return self._last_call

    @property
    def is_closed(self) -> bool:
        """By the other side."""
        return self._closes_within(0)

    def await_close(self) -> None:
        """Take nothing, and so answer no ping, until the other side has closed. Raises TimeoutError."""
        if not self._closes_within(TIMEOUT_S):
            raise TimeoutError("the front keeps a connection that answers no ping")

    def reset(self, stream: int) -> None:
        """The caller goes."""
        self._http2.reset_stream(stream)
        self._turn(wait=False)

    def _closes_within(self, duration_s: float) -> bool:
        closing = poll()
        closing.register(self._tcp, POLLRDHUP)
        return bool(closing.poll(int(duration_s * 1000)))

    def _turn(self, *, wait: bool = True) -> None:
        self._tcp.sendall(self._http2.data_to_send())
        if not wait and not self._readable.poll(_NOW_MS):
            return
        received = self._tcp.recv(_READ_BYTES)
        if not received:
            raise ConnectionError("the front has closed the connection")
        for event in self._http2.receive_data(self._without_goaway(received)):
            if isinstance(event, StreamEnded | StreamReset):
                self._ended.add(event.stream_id)
            if isinstance(event, DataReceived):
                self.received[event.stream_id] += len(event.data)
            if isinstance(event, ResponseReceived | TrailersReceived):
                self.answers[event.stream_id].update(dict(event.headers))
        self._tcp.sendall(self._http2.data_to_send())

    def _without_goaway(self, received: bytes) -> bytes:
        """Whole frames. h2 would take none that comes after a GOAWAY, and so no answer to a call before it."""
        self._unread += received
        frames = b""
        while len(self._unread) >= _HEAD_BYTES:
            end = _HEAD_BYTES + int.from_bytes(self._unread[:3], "big")
            if len(self._unread) < end:
                break
            frame, self._unread = self._unread[:end], self._unread[end:]
            if frame[3] == _GOAWAY:
                self._last_call = int.from_bytes(frame[_HEAD_BYTES : _HEAD_BYTES + 4], "big")
            else:
                frames += frame
        return frames
