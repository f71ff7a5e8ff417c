"""What the native front alone bounds: the memory of large messages that come together, and what callers who share a
connection can do to each other.

gRPC's own core, which the portable front stands on, unpacks whatever comes and shares one window among all streams.
"""

import gzip
from collections.abc import Iterator

import grpc
import pytest

from services.runtime.front import Batch, Limits
from services.runtime.fronts import FRONTS, NATIVE
from tests.contract.conftest import NO_NATIVE
from tests.contract.harness import (
    EMBED,
    INFER,
    OPEN,
    STREAM_INFER,
    TAG,
    Served,
    answer_infer,
    embed,
    raw_infer,
)
from tests.contract.test_stream import working
from tests.peaks import NEEDS_PEAKS, begin_peak, peak_bytes
from tests.raw_http2 import RawConnection, framed

LIMIT_BYTES = 4 << 20
# What the front has room for at one time.
AT_ONCE = 4

OK, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED = "0", "4", "8"
GZIP = ("grpc-encoding", "gzip")

pytestmark = [
    NO_NATIVE,
    NEEDS_PEAKS,
]


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    limits = Limits(max_message_bytes=getattr(request, "param", LIMIT_BYTES))
    front = FRONTS[NATIVE]("127.0.0.1:0", (EMBED, TAG, OPEN), limits=limits)
    with grpc.insecure_channel(front.address) as channel:
        yield Served(front, channel)
    front.drain(grace_s=0, notice_s=0)


@pytest.fixture
def raw(served: Served) -> Iterator[RawConnection]:
    with RawConnection(served.front.address) as connection:
        yield connection


def packed(model: str = "m", limit_bytes: int = LIMIT_BYTES) -> bytes:
    """A framed request of nearly the limit that is small on the wire: zeros in a field that nobody knows."""
    zeros = limit_bytes - (1 << 20)
    padding = b"\x7a" + bytes((zeros & 0x7F | 0x80, zeros >> 7 & 0x7F | 0x80, zeros >> 14 & 0x7F | 0x80, zeros >> 21))
    message = gzip.compress(embed(model=model) + padding + bytes(zeros), 1)
    return b"\1" + framed(message)[1:]


def asked(raw: RawConnection, message: bytes, *headers: tuple[str, str]) -> int:
    call = raw.begin(EMBED.method, [GZIP, *headers])
    raw.send_all(call, message)
    return call


def answer_nothing(batch: Batch | None) -> None:
    assert batch is not None
    for index in range(batch.request_count):
        batch.reply(index, b"")


@pytest.mark.parametrize("served", [16 << 20], indirect=True)
def test_packed_messages_that_come_together_take_the_memory_of_a_few(served: Served, raw: RawConnection) -> None:
    served.open()
    limit_bytes = 16 << 20
    message = packed(limit_bytes=limit_bytes)
    before = begin_peak()
    calls = [asked(raw, message) for _ in range(40)]  # which would all find a place in the queue
    served.until_waiting(rows=AT_ONCE)
    served.give_turns(100)
    assert served.stats().waiting_rows == AT_ONCE
    assert peak_bytes() - before < len(calls) / 2 * limit_bytes


def test_a_large_message_waits_for_those_that_wait_to_be_answered_and_a_small_one_does_not(
    served: Served, raw: RawConnection
) -> None:
    queue = served.open()
    message = packed()
    calls = [asked(raw, message) for _ in range(2 * AT_ONCE)]
    served.until_waiting(rows=AT_ONCE)
    small = served.send(embed("small"))
    served.until_waiting(rows=AT_ONCE + 1)
    while served.stats().succeeded_requests < len(calls) + 1:
        assert served.front.stats().refusals == {}
        answer_nothing(queue.take())
    assert small.result() == b""
    for call in calls:
        raw.await_end(call)


def test_who_finds_no_room_for_a_while_is_refused_and_a_stream_waits(served: Served, raw: RawConnection) -> None:
    queue = served.open()
    for _ in range(AT_ONCE):
        asked(raw, packed())
    served.until_waiting(rows=AT_ONCE)
    stream = raw.begin(STREAM_INFER)
    left = raw.send(stream, framed(raw_infer([[1.0] * 400_000])))
    assert left  # no more than a window is read
    refused = asked(raw, packed())
    raw.await_end(refused)
    assert raw.answers[refused]["grpc-status"] == RESOURCE_EXHAUSTED
    assert served.front.stats().refusals == {"NO_ROOM": 1}
    answer_nothing(queue.take())
    raw.send_all(stream, left)
    answer_infer(queue.take())
    raw.await_end(stream)
    assert raw.answers[stream]["grpc-status"] == OK


def test_a_call_that_is_gone_while_it_waits_for_room_is_not_read(served: Served, raw: RawConnection) -> None:
    queue = served.open()
    for _ in range(AT_ONCE):
        asked(raw, packed())
    served.until_waiting(rows=AT_ONCE)
    gone = [asked(raw, packed(model="nonesuch")) for _ in range(AT_ONCE)]
    served.give_turns(100)
    for call in gone:
        raw.reset(call)
    served.give_turns(100)
    answer_nothing(queue.take())
    served.until(lambda: served.stats().succeeded_requests == AT_ONCE)
    served.give_turns(100)
    assert served.front.stats().refusals == {}


def test_a_packed_message_that_is_small_waits_for_no_room(served: Served, raw: RawConnection) -> None:
    queue = served.open()
    for _ in range(AT_ONCE):
        asked(raw, packed())
    served.until_waiting(rows=AT_ONCE)
    small = served.send(embed("text " * 1000), compression=grpc.Compression.Gzip)
    served.until_waiting(rows=AT_ONCE + 1)
    answer_nothing(queue.take())
    assert small.result() == b""


def test_a_call_whose_deadline_passes_while_it_waits_for_room_is_told(served: Served, raw: RawConnection) -> None:
    served.open()
    message = packed()
    for _ in range(AT_ONCE):
        asked(raw, message)
    served.until_waiting(rows=AT_ONCE)
    late = asked(raw, message, ("grpc-timeout", "200m"))
    raw.await_end(late)
    assert raw.answers[late]["grpc-status"] == DEADLINE_EXCEEDED


def test_answers_that_nobody_takes_have_the_room_of_a_few(served: Served, raw: RawConnection) -> None:
    queue = served.open()
    large = bytes(LIMIT_BYTES)
    calls = []
    for _ in range(AT_ONCE + 1):
        calls.append(raw.begin(EMBED.method))
        raw.send_all(calls[-1], framed(embed("text")))
        batch = queue.take()
        assert batch is not None
        batch.reply(0, large)
    raw.await_end(calls[-1], takes=False)
    assert raw.answers[calls[-1]]["grpc-status"] == RESOURCE_EXHAUSTED
    assert served.front.stats().refusals == {"NO_ROOM": 1}
    for call in calls[:-1]:
        raw.await_end(call)
        assert (raw.answers[call]["grpc-status"], raw.received[call]) == (OK, len(framed(large)))


@pytest.mark.parametrize("served", [1 << 20], indirect=True)
def test_streams_whose_callers_do_not_read_leave_their_connection_to_others(served: Served, raw: RawConnection) -> None:
    queue = served.open()
    large = framed(raw_infer([[1.0] * 170_000]))
    with working(queue):
        left = {raw.begin(STREAM_INFER): large * 8 for _ in range(16)}
        for _ in range(4):  # a window opens again for what is read before the answers stop it
            left = {stream: raw.send(stream, data) for stream, data in left.items()}
        assert all(left.values())
        other = raw.begin(INFER)
        raw.send_all(other, large)
        raw.await_end(other)


def test_calls_refused_by_the_thousand_leave_their_connection_to_others(served: Served, raw: RawConnection) -> None:
    queue = served.open()
    for refused in range(200, 2600, 200):
        calls = [raw.begin("/no.Such/Method") for _ in range(200)]
        raw.send_unread()
        served.until(lambda refused=refused: served.front.stats().refusals.get("UNKNOWN_METHOD") == refused)
        for call in calls:
            raw.send_unread(call, framed(b"late"))
        raw.await_end(calls[-1])
    with working(queue):
        other = raw.begin(INFER)
        raw.send_all(other, framed(raw_infer([[1.0]])))
        raw.await_end(other)
    assert raw.answers[other]["grpc-status"] == OK


def test_a_caller_who_sends_and_does_not_answer_pings_yet_is_alive(served: Served) -> None:
    limits = Limits(keepalive_interval_s=0.2, keepalive_timeout_s=2)
    front = FRONTS[NATIVE]("127.0.0.1:0", (EMBED,), limits=limits)
    with grpc.insecure_channel(front.address) as channel, RawConnection(front.address) as raw:
        call = raw.begin(EMBED.method)
        raw.send_unread()
        for byte in framed(bytes(10)):  # three seconds
            Served(front, channel).let_pass(0.2)
            raw.send_unread(call, bytes([byte]))
        assert not raw.is_closed
        raw.await_close()
    front.drain(grace_s=0, notice_s=0)
