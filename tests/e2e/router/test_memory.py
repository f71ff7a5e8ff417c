"""Callers cannot fill the router's memory: Envoy holds a message until it is answered."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import psutil
import pytest

from inference import grpc_service_pb2 as oip
from tests.e2e.router.processes import RunningRouter, Start, has_retry_info, infer, reason, start_router
from tests.peaks import peak_bytes

HEAP_MB = 256
HELD_S = 6.0


def of_bytes(count: int, answered_after_s: float) -> oip.ModelInferRequest:
    return infer("small", raw_input_contents=[bytes(count)], parameters={"delay_s": {"double_param": answered_after_s}})


@pytest.fixture
def router(replica: Start, tmp_path: Path) -> Iterator[RunningRouter]:
    router = start_router(tmp_path, {"text": [replica("a", "small:1").address]}, envoy_heap_mb=HEAP_MB)
    router.wait_until_models(lambda ready: ready.get(("small", "1")) == 1)
    yield router
    for channel in router.channels:
        channel.close()
    router.process.kill()
    router.process.wait()


def small_call(router: RunningRouter) -> grpc.Future:
    call = router.inference().ModelInfer.future(of_bytes(1, 0.0), timeout=30)
    call.exception()
    return call


def test_nothing_new_is_taken_while_envoys_heap_is_full_and_what_was_taken_is_answered(router: RunningRouter) -> None:
    large, stub = of_bytes(16 << 20, HELD_S), router.inference()
    held: list[grpc.Future] = []
    while (refused := small_call(router)).code() is grpc.StatusCode.OK:
        held.append(stub.ModelInfer.future(large, timeout=30))
    assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (reason(refused), has_retry_info(refused)) == ("OVERLOADED", True)

    *taken, last = (call.code() for call in held)
    assert taken == [grpc.StatusCode.OK] * len(taken)
    assert last in (grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED)  # it may have come too late itself
    until_answered(router)


def test_more_than_the_heap_holds_is_ended_and_others_go_on(router: RunningRouter) -> None:
    [envoy] = psutil.Process(router.process.pid).children()
    largest, stub = of_bytes(60 << 20, HELD_S), router.inference()
    with ThreadPoolExecutor(16) as callers:
        calls = [callers.submit(stub.ModelInfer, largest, timeout=30) for _ in range(16)]
        assert any(call.exception() is not None for call in calls)
    until_answered(router)
    assert peak_bytes(envoy.pid) < 2 * HEAP_MB << 20


def until_answered(router: RunningRouter) -> None:
    """It looks at its heap ten times a second."""
    while small_call(router).code() is not grpc.StatusCode.OK:
        pass
