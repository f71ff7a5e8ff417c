"""A service with a card, acted out: it answers as on the CPU, outlives a full card, and ends with a lost one."""

import subprocess
import sys
import threading
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.runtime.service import DEVICE_FAULT
from tests.acted_card import LIGHTNING, TOO_MUCH
from tests.e2e import traffic as t
from tests.e2e.calls import call, refused
from tests.e2e.disk import copy_models
from tests.e2e.harness import ANY_PORTS, ROOT, Processes, Server

CARDED = "tests.e2e.carded_service"
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return copy_models(tmp_path / "models", "diabetes")


def on_card(processes: Processes, models: Path) -> Server:
    return processes.service("carded", models, "--provider", "cuda", module=CARDED)


def row(first: float) -> bytes:
    values = np.full((1, 10), 1.0, "<f4")
    values[0, 0] = first
    return t.infer("diabetes", ("features", "FP32", (1, 10), values.tobytes()))


def test_answers_are_those_of_the_cpu_and_say_where_they_are_from(processes: Processes, models: Path) -> None:
    carded, plain = on_card(processes, models), processes.service("tabular", models)
    for request in (row(1.0), row(2.0)):
        reply, answered = carded.channel.unary_unary(t.MODEL_INFER).with_call(request, 30)
        assert reply == call(plain.channel, t.MODEL_INFER, request)
        assert ("argosy-device", "cuda:0") in answered.trailing_metadata()


def test_a_full_card_refuses_the_request_and_the_service_lives_on(processes: Processes, models: Path) -> None:
    carded = on_card(processes, models)
    before = call(carded.channel, t.MODEL_INFER, row(1.0))
    error = refused(carded.channel, t.MODEL_INFER, row(TOO_MUCH))
    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "DEVICE_MEMORY")
    assert error.retry_after_s == 1.0
    assert call(carded.channel, t.MODEL_INFER, row(1.0)) == before


def test_a_lost_card_turns_health_and_ends_the_process_with_a_code_of_its_own(
    processes: Processes, models: Path
) -> None:
    carded = on_card(processes, models)
    seen: list[int] = []
    watch = health_pb2_grpc.HealthStub(carded.channel).Watch(health_pb2.HealthCheckRequest(), timeout=60)
    first = next(watch).status

    def follow() -> None:
        try:
            seen.extend(update.status for update in watch)
        except grpc.RpcError:  # the connection ends with the process
            return

    follower = threading.Thread(target=follow)
    follower.start()
    error = refused(carded.channel, t.MODEL_INFER, row(LIGHTNING))
    code = carded.process.wait()
    follower.join()

    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "DEVICE_FAULT")
    assert "CUDA" not in error.message
    assert (first, seen) == (SERVING, [NOT_SERVING])
    assert code == DEVICE_FAULT
    assert "CUDA failure 700" in carded.process.log


def test_shares_that_no_card_has_end_the_process_at_once_with_the_numbers(models: Path) -> None:
    (models / "diabetes" / "serving.yaml").write_text("device_memory_mb: 9000\n")
    command = [sys.executable, "-m", CARDED, "--models-dir", str(models), "--provider", "cuda", *ANY_PORTS]
    ended = subprocess.run(
        [*command, "--device-memory-mb", "8000"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 2
    assert (
        "argosy tabular: device_memory_mb: card 0 has 8000 MiB for this process, its models want 9000: diabetes 9000"
        in ended.stderr
    )
