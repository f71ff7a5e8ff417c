"""How large a message and its metadata may be."""

import subprocess
import sys
from collections.abc import Mapping

import grpc
import pytest

from inference.grpc_service_pb2 import ModelInferRequest
from services.runtime.front import Limits, Queue, Signature, TensorSignature
from services.runtime.fronts import PORTABLE
from services.runtime.portable_watch import HEALTH_CHECK, HEALTH_WATCH
from tests.contract.conftest import MAX_MESSAGE_BYTES, MakeFront
from tests.contract.harness import (
    EMBED,
    INFER,
    STREAM_INFER,
    Served,
    answer,
    embed,
    reason_of,
    refused,
    spec,
    tensor,
)
from tests.peaks import NEEDS_PEAKS, begin_peak, peak_bytes
from tests.raw_http2 import RawConnection, framed

RESOURCE_EXHAUSTED = str(grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])


def embed_of(size: int) -> bytes:
    """A request of `size` bytes."""
    overhead = len(embed("x" * size)) - size
    message = embed("x" * (size - overhead))
    assert len(message) == size
    return message


def test_a_message_of_the_limit_passes(served: Served) -> None:
    queue = served.open()
    message = embed_of(MAX_MESSAGE_BYTES)
    call = served.send(message)
    answer(queue.take())
    assert call.result() == message


def test_a_message_of_one_byte_more_is_refused_with_limit_and_size(served: Served) -> None:
    served.open()
    error = refused(served.send(embed_of(MAX_MESSAGE_BYTES + 1)))
    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE")
    assert error.message == "a message of at most 1048576 bytes is taken, got 1048577"


def test_a_message_far_over_the_limit_is_refused_and_the_connection_goes_on(served: Served, front_name: str) -> None:
    queue = served.open()
    size = 4 * MAX_MESSAGE_BYTES
    with RawConnection(served.front.address) as raw:
        call = raw.begin(EMBED.method)
        raw.send(call, framed(embed_of(size)))  # what the windows let through
        raw.await_end(call)
        if front_name != PORTABLE:
            check_is_exhausted(raw.answers[call], "MESSAGE_TOO_LARGE", str(MAX_MESSAGE_BYTES), str(size))
        # There gRPC's own core refuses it, without details.
        assert raw.answers[call]["grpc-status"] == RESOURCE_EXHAUSTED
        check_goes_on(raw, queue)


def check_is_exhausted(answered: Mapping[str, str], reason: str, *says: str) -> None:
    assert (answered["grpc-status"], reason_of(answered)) == (RESOURCE_EXHAUSTED, reason)
    assert all(word in answered["grpc-message"] for word in says)


def check_goes_on(raw: RawConnection, queue: Queue) -> None:
    call = raw.begin(EMBED.method)
    raw.send_all(call, framed(embed("text")))
    answer(queue.take())
    raw.await_end(call)
    assert raw.answers[call]["grpc-status"] == "0"


def test_the_message_limit_holds_for_infer_and_for_rare_methods_too(served: Served) -> None:
    served.open()
    served.front.answer_unary("/argosy.v1.ModelService/ListModels", bytes)
    message = embed_of(MAX_MESSAGE_BYTES + 1)
    assert refused(served.infer(message)).reason == "MESSAGE_TOO_LARGE"
    assert refused(served.send(message, "/argosy.v1.ModelService/ListModels")).reason == "MESSAGE_TOO_LARGE"


def test_a_large_infer_message_passes(served: Served) -> None:
    queue = served.open(spec(signature=Signature((TensorSignature("x", "FP32", (-1, -1)),), ())))
    request = ModelInferRequest(
        model_name="m", inputs=[tensor("x", "FP32", (1, 200_000), fp32_contents=[0.5] * 200_000)]
    )
    call = served.infer(request)
    batch = queue.take()
    assert batch is not None
    assert batch.tensors()["x"].sum() == 100_000
    batch.reply_tensors({})
    assert call.result()


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_a_compressed_message_passes(served: Served, compression: grpc.Compression) -> None:
    queue = served.open()
    message = embed("text " * 1000)
    call = served.send(message, compression=compression)
    answer(queue.take())
    assert call.result() == message


BOMB = """
import sys, grpc
with grpc.insecure_channel(sys.argv[1], [("grpc.max_send_message_length", -1)]) as channel:
    bomb = bytes(512 << 20)
    call = channel.unary_unary(sys.argv[2]).future(bomb, timeout=30, compression=grpc.Compression.Gzip)
    print(call.exception().code().name, call.exception().details())
"""


@NEEDS_PEAKS
def test_a_gzip_bomb_is_refused_and_memory_stays_bounded(served: Served, front_name: str) -> None:
    queue = served.open()
    before = begin_peak()
    # In a process of its own, so that the memory of this one is the front's.
    command = [sys.executable, "-c", BOMB, served.front.address, EMBED.method]
    bomb = subprocess.run(command, capture_output=True, text=True, check=True)
    grown_bytes = peak_bytes() - before
    own_text = f"a message of at most {MAX_MESSAGE_BYTES} bytes is taken, got more"
    text = "Decompressed message larger than max" if front_name == PORTABLE else own_text
    assert bomb.stdout.strip() == f"RESOURCE_EXHAUSTED {text}"
    assert grown_bytes < 16 * MAX_MESSAGE_BYTES  # 1/32 of the bomb; the limit itself drowns in the allocator's steps
    call = served.send(embed("text"))
    answer(queue.take())
    assert call.result()


def test_metadata_over_the_limit_is_refused_and_the_connection_goes_on(served: Served) -> None:
    queue = served.open()
    with RawConnection(served.front.address) as raw:
        call = raw.begin(EMBED.method, [("x-large", "~" * 20_000)])  # of no shorter code
        raw.send_all(call, framed(embed("text")))
        raw.await_end(call)
        check_is_exhausted(raw.answers[call], "METADATA_TOO_LARGE", str(Limits().max_metadata_bytes))
        check_goes_on(raw, queue)


@pytest.mark.parametrize("sent", [b"", b"\0\0\0", framed(b"half of it")[:-5]], ids=["nothing", "half a head", "half"])
@pytest.mark.parametrize("method", [EMBED.method, INFER, HEALTH_CHECK, HEALTH_WATCH])
def test_a_call_that_ends_without_a_whole_message_is_told(served: Served, method: str, sent: bytes) -> None:
    served.open()
    with RawConnection(served.front.address) as raw:
        call = raw.begin(method)
        raw.end(call, sent)
        raw.await_end(call)
        assert raw.answers[call]["grpc-status"] == str(grpc.StatusCode.INVALID_ARGUMENT.value[0])


@pytest.mark.parametrize("method", [EMBED.method, STREAM_INFER, HEALTH_WATCH])
def test_metadata_is_counted_as_it_reads_however_it_was_packed(served: Served, method: str) -> None:
    queue = served.open()
    with RawConnection(served.front.address) as raw:
        call = raw.begin(method, [("x", "a" * Limits().max_metadata_bytes)])
        raw.send_all(call, framed(b""))
        raw.await_end(call)
        check_is_exhausted(raw.answers[call], "METADATA_TOO_LARGE", str(Limits().max_metadata_bytes))
        check_goes_on(raw, queue)
    assert served.front.stats().refusals == {"METADATA_TOO_LARGE": 1}


def test_large_messages_that_wait_take_the_memory_of_a_few(make_front: MakeFront) -> None:
    front = make_front(limits=Limits(max_message_bytes=4 * MAX_MESSAGE_BYTES))
    with grpc.insecure_channel(front.address) as channel:
        served = Served(front, channel)
        queue = served.open(spec(max_batch_rows=1))
        large = embed_of(4 * MAX_MESSAGE_BYTES)
        calls = [served.send(large, timeout_s=30) for _ in range(4)]
        served.until_waiting(rows=4)
        error = refused(served.send(large, timeout_s=30))
        assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "NO_ROOM")
        calls.append(served.send(large, timeout_s=30))
        answer(queue.take())
        served.until_waiting(rows=4)
        for _ in range(4):
            answer(queue.take())
        assert [call.exception() for call in calls] == [None] * 5
