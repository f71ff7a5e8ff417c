"""Rows 3, 4, 5 and 12 of the table of bad inputs: what is too large is refused, and its memory never taken.

Who reads a message first refuses it: the service's front, the proxy where it looks for the model, or the router's own
code, for a packed message without the headers of its model. gRPC's core, under the portable front and under the
router's code, refuses without ErrorInfo (docs/reference.md, Without ErrorInfo).
"""

import gzip
import zlib
from functools import cache

import grpc
import psutil
import pytest

from services.runtime.fronts import PORTABLE
from tests.e2e import traffic as t
from tests.e2e.calls import Refusal, call, check_form, raw_reason, refusal_of, refused
from tests.e2e.conftest import Target
from tests.peaks import begin_peak, peak_bytes
from tests.raw_http2 import RawConnection, framed

LIMIT_BYTES = 64 << 20
MEBIBYTE = 1 << 20

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED

Metadata = tuple[tuple[str, str], ...]

NO_HEADERS: Metadata = ()
BOTH_HEADERS: Metadata = (("argosy-model", "digits"), ("argosy-version", ""))
HEADERS = {
    "model in body": NO_HEADERS,
    "model in header": BOTH_HEADERS[:1],
    "model and version in header": BOTH_HEADERS,
}


def test_deep_nesting_leaves_memory_flat(target: Target) -> None:
    # So large that a hundredth of them kept would show.
    deep = t.nested_row(150) + t.field(15, bytes(100_000))
    for _ in range(20):
        refused(target.channel("tabular"), t.PREDICT, deep)
    before = {pid: psutil.Process(pid).memory_info().rss for pid in pids(target, "tabular")}
    for _ in range(200):
        refused(target.channel("tabular"), t.PREDICT, deep)
    for pid, rss_bytes in before.items():
        assert psutil.Process(pid).memory_info().rss - rss_bytes < 8 * MEBIBYTE


@pytest.mark.parametrize("metadata", HEADERS.values(), ids=HEADERS)
def test_a_message_one_byte_over_the_limit_is_refused_with_limit_and_size(target: Target, metadata: Metadata) -> None:
    message = of_size(LIMIT_BYTES + 1)

    error = refused(target.channel("vision"), t.VISION_CLASSIFY, message, metadata=metadata)

    assert (error.code, error.reason) == (EXHAUSTED, "MESSAGE_TOO_LARGE")
    assert f"at most {LIMIT_BYTES} bytes is taken, got {len(message)}" in error.message


@pytest.mark.parametrize("metadata", HEADERS.values(), ids=HEADERS)
def test_a_message_far_over_the_limit_is_refused_by_whoever_reads_it_first(target: Target, metadata: Metadata) -> None:
    message = of_size(LIMIT_BYTES + MEBIBYTE)

    with pytest.raises(grpc.RpcError) as caught:
        call(target.channel("vision"), t.VISION_CLASSIFY, message, metadata=metadata)
    error = refusal_of(caught.value)

    assert error.code == EXHAUSTED
    if target.router is not None and metadata != BOTH_HEADERS:
        check(error, f"larger than the limit of {LIMIT_BYTES} bytes")  # the proxy has not read how large
    elif target.front == PORTABLE:
        assert (error.reason, error.message) == ("", f"SERVER: {error.message.partition(': ')[2]}")
        assert f"({len(message)} vs. " in error.message
    else:
        check(error, f"at most {LIMIT_BYTES} bytes is taken, got {len(message)}")


def test_a_message_as_large_as_the_limit_is_read(target: Target) -> None:
    error = refused(target.channel("vision"), t.VISION_CLASSIFY, of_size(LIMIT_BYTES))

    assert error.reason == "IMAGE_UNDECODABLE"


@pytest.mark.parametrize("metadata", [NO_HEADERS, BOTH_HEADERS], ids=["model in body", "model and version in header"])
def test_a_gzip_bomb_is_refused_and_costs_less_memory_than_twice_the_limit(target: Target, metadata: Metadata) -> None:
    before = {pid: begin_peak(pid) for pid in pids(target, "vision")}

    with RawConnection(target.of_kind("vision").address) as raw:
        stream = raw.begin(t.VISION_CLASSIFY, [("grpc-encoding", "gzip"), *metadata])
        raw.send_all(stream, bomb())
        raw.await_end(stream)
    answer = raw.answers[stream]

    is_grpcio = target.front == PORTABLE or (target.router is not None and metadata != BOTH_HEADERS)
    assert answer["grpc-status"] == str(EXHAUSTED.value[0])
    assert raw_reason(answer) == ("" if is_grpcio else "MESSAGE_TOO_LARGE")
    assert is_grpcio or str(LIMIT_BYTES) in answer["grpc-message"]
    for pid, rss_bytes in before.items():
        assert peak_bytes(pid) - rss_bytes < 2 * LIMIT_BYTES


def test_too_much_metadata_is_refused_and_the_connection_goes_on(target: Target) -> None:
    with RawConnection(target.of_kind("vision").address) as raw:
        for extra in ([("filler", "x" * 20_000)], []):
            stream = raw.begin(t.VISION_CLASSIFY, extra)
            raw.send_all(stream, framed(t.classify(t.seven())))
            raw.await_end(stream)
    refusal, answer = raw.answers.values()

    assert refusal["grpc-status"] == str(EXHAUSTED.value[0])
    assert raw_reason(refusal) == "METADATA_TOO_LARGE"
    assert answer["grpc-status"] == "0"


def test_a_huge_picture_in_a_small_file_is_refused_undecoded(target: Target) -> None:
    picture = t.classify(t.huge_png())
    pid = target.services["vision"].process.pid
    before = begin_peak(pid)

    error = refused(target.channel("vision"), t.VISION_CLASSIFY, picture)

    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "IMAGE_TOO_LARGE")
    assert "400000000 pixels" in error.message
    assert "50000000" in error.message
    assert compute_us(error) < 50_000
    assert peak_bytes(pid) - before < 8 * MEBIBYTE


def of_size(size: int) -> bytes:
    """A request for digits of so many bytes; most of them are an image that is none."""
    fits = t.classify(bytes(LIMIT_BYTES - 100))
    message = fits + t.field(15, bytes(size - len(fits) - (2 if size - len(fits) < 130 else 4)))
    assert len(message) == size
    return message


@cache
def bomb() -> bytes:
    """Four times the limit in a few hundred kilobytes, as gRPC frames what is packed."""
    packed = gzip.compress(t.classify(bytes(4 * LIMIT_BYTES)), zlib.Z_BEST_SPEED)
    return b"\1" + framed(packed)[1:]


def check(error: Refusal, says: str) -> None:
    check_form(error)
    assert error.reason == "MESSAGE_TOO_LARGE"
    assert says in error.message


def pids(target: Target, kind: str) -> set[int]:
    """The service's process, and those of the router and its proxy where there is one."""
    found = {target.services[kind].process.pid}
    if target.router is not None:
        router = psutil.Process(target.router.process.pid)
        found |= {router.pid, *(child.pid for child in router.children(recursive=True))}
    return found


def compute_us(error: Refusal) -> int:
    """How long the service had the batch, from the trailers."""
    return int(error.trailers["argosy-compute-us"])
