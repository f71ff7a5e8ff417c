"""Row 23: a log disk without room stops nobody; what could not be written is counted."""

import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.e2e import traffic as t
from tests.e2e.calls import call, refused
from tests.e2e.conftest import wait_until_ready, wait_until_routed
from tests.e2e.disk import copy_models
from tests.e2e.harness import START_TIMEOUT_S, Processes, Server
from tests.e2e.metrics import read_metrics

SENTIMENT = ("sentiment", "1")


@pytest.fixture
def addresses() -> list[str]:
    """Of ports that were free a moment ago: a process that cannot log does not tell which it has taken."""
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in (first, second)]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = copy_models(tmp_path / "models", "sentiment")
    (folder / "sentiment" / "serving.yaml").write_text("instances: 1\n")
    return folder


def on_a_full_disk(processes: Processes, command: Sequence[str], addresses: Sequence[str]) -> Server:
    """The program, once it listens; every line that it writes to standard error fails."""
    flags = ("--address", addresses[0], "--metrics-address", addresses[1])
    shell = ("sh", "-c", 'exec "$@" 2>/dev/full', "sh")
    process = processes.run(command[0], [*shell, sys.executable, "-m", *command, *flags])
    channel = processes.channel(addresses[0])
    grpc.channel_ready_future(channel).result(START_TIMEOUT_S)
    return Server(process, *addresses, channel)


def wait_until_serving(channel: grpc.Channel) -> None:
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=START_TIMEOUT_S)
    assert any(answer.status == health_pb2.HealthCheckResponse.SERVING for answer in watch)
    watch.cancel()


def test_a_service_answers_after_failures_that_it_could_not_log(
    processes: Processes, models: Path, addresses: list[str]
) -> None:
    command = ("tests.e2e.faulty_service", "--models-dir", str(models))
    service = on_a_full_disk(processes, command, addresses)
    wait_until_serving(service.channel)
    for _ in range(2):
        assert refused(service.channel, t.TEXT_CLASSIFY, t.read("magic")).code is grpc.StatusCode.INTERNAL
    assert call(service.channel, t.TEXT_CLASSIFY, t.read("good"))
    assert read_metrics(service.metrics_address)["argosy_log_errors_total"] > 2
    assert service.process.terminate() == 0


def test_a_router_follows_its_services_though_it_cannot_log(
    processes: Processes, models: Path, addresses: list[str], tmp_path: Path
) -> None:
    first = processes.service("text", models)
    (tmp_path / "fleet.yaml").write_text(f"services: {{text: ['{first.address}']}}\n")
    command = ("services.router", "--config", str(tmp_path / "fleet.yaml"))
    router = on_a_full_disk(processes, command, addresses)
    wait_until_routed(router, [SENTIMENT])
    first.process.kill()
    wait_until_ready(router.channel, lambda ready: not ready)
    processes.service("text", models, "--address", first.address)
    wait_until_routed(router, [SENTIMENT])
    assert call(router.channel, t.TEXT_CLASSIFY, t.read("good"))
    assert read_metrics(router.metrics_address)["argosy_log_errors_total"] > 2
    assert router.process.terminate() == 0
