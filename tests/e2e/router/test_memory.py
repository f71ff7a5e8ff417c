"""Callers cannot fill the router's memory: Envoy holds a message until it is answered."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
import psutil

from inference import grpc_service_pb2 as oip
from tests.e2e.router.processes import RunningRouter, Start, infer
from tests.peaks import NEEDS_PEAKS, peak_bytes

HEAP_MB = 160
CALLERS, LARGE_BYTES, HELD_S = 8, 60 << 20, 3.0
AGAIN_WITHIN_S = 30.0


def of_bytes(count: int, answered_after_s: float) -> oip.ModelInferRequest:
    delay = {"delay_s": {"double_param": answered_after_s}}
    return infer("small", raw_input_contents=[bytes(count)], parameters=delay)


@NEEDS_PEAKS
def test_calls_that_fill_envoys_heap_are_ended_and_others_go_on(
    replica: Start, router: Callable[..., RunningRouter]
) -> None:
    running = router({"text": [replica("a", "small:1").address]}, envoy_heap_mb=HEAP_MB)
    running.wait_until_models(lambda ready: ready.get(("small", "1")) == 1)
    [envoy] = psutil.Process(running.process.pid).children()
    large, stub = of_bytes(LARGE_BYTES, HELD_S), running.inference()
    with ThreadPoolExecutor(CALLERS) as callers:
        calls = [callers.submit(stub.ModelInfer, large, timeout=60) for _ in range(CALLERS)]
        errors = [error for call in calls if (error := call.exception()) is not None]

    assert {error.code() for error in errors if isinstance(error, grpc.RpcError)} >= {grpc.StatusCode.INTERNAL}
    assert is_answered(running)
    assert psutil.Process(running.process.pid).children() == [envoy]
    assert peak_bytes(envoy.pid) < CALLERS * LARGE_BYTES * 2 / 3


def is_answered(router: RunningRouter) -> bool:
    """Soon: Envoy looks at its heap ten times a second."""
    stub, end_s = router.inference(), time.monotonic() + AGAIN_WITHIN_S
    while time.monotonic() < end_s:
        call = stub.ModelInfer.future(of_bytes(1, 0.0), timeout=10)
        if call.code() is grpc.StatusCode.OK:
            return True
    return False
