"""Row 22: SIGTERM under load, with an open health Watch: what was accepted is answered, and the process exits 0.

Who opens a call on a connection that a draining service has said goodbye to is not read there: a client opens another
connection, and finds none. Only a call that is open already is told why it ends.
"""

import queue
import signal
import threading
import time
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2

from argosy.v1.vision_pb2 import VisionServiceClassifyResponse
from services.runtime.fronts import FRONTS
from tests.e2e import traffic as t
from tests.e2e.calls import check_form, refusal_of
from tests.e2e.conftest import ROUTED, WAYS, front_of, wait_until_ready, wait_until_routed
from tests.e2e.disk import copy_models, hold_up
from tests.e2e.harness import Processes, Server
from tests.e2e.load import Load
from tests.e2e.metrics import running_requests, wait_until

STREAM_INFER = "/inference.GRPCInferenceService/ModelStreamInfer"
GRACE_S = 20.0
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING

each_front = pytest.mark.parametrize("front", sorted(FRONTS))


@each_front
def test_a_replica_that_is_told_to_stop_is_not_seen_by_callers_of_the_router(
    front: str, processes: Processes, tmp_path: Path
) -> None:
    models = copy_models(tmp_path / "models", "digits")
    leaves, stays = (processes.service("vision", models, "--front", front) for _ in range(2))
    router = processes.router(tmp_path, {"vision": [leaves.address, stays.address]})
    wait_until_routed(router, [("digits", "1")])
    wait_until_ready(router.channel, lambda ready: ready.get(("digits", "1")) == 2)
    watch = health_watch(leaves)

    with Load(router.address, t.VISION_CLASSIFY, t.classify(t.seven())) as load:
        load.wait_for_answers(200)
        code, took_s = stop(leaves)
        load.wait_for_answers(200)

    assert load.errors == []
    assert {label(reply) for reply in load.replies} == {"7"}
    assert code == 0
    assert took_s < GRACE_S
    assert watch == [SERVING, NOT_SERVING]


@each_front
def test_a_service_that_is_told_to_stop_answers_what_it_has_accepted(
    front: str, processes: Processes, tmp_path: Path
) -> None:
    models = copy_models(tmp_path / "models", "mobilenet")
    # Without a notice, in which it would be answered whatever the drain does.
    service = processes.service("vision", models, "--front", front, "--drain-notice-s", "0")
    watch = health_watch(service)
    images = [t.seven()] * 64
    request = service.channel.unary_unary(t.VISION_CLASSIFY).future(t.classify(*images, model="mobilenet"), GRACE_S)
    wait_until(lambda: running_requests(service.metrics_address, "mobilenet") == 1)

    code, took_s = stop(service)

    assert len(VisionServiceClassifyResponse.FromString(request.result()).results) == len(images)
    assert code == 0
    assert took_s < GRACE_S
    assert watch == [SERVING, NOT_SERVING]


@each_front
def test_a_service_that_is_told_to_stop_while_a_model_loads_stops(
    front: str, processes: Processes, tmp_path: Path
) -> None:
    models = copy_models(tmp_path / "models", "digits")
    hold_up(models / "digits" / "1")
    service = processes.service("vision", models, "--front", front, loaded=False)

    code, took_s = stop(service)

    assert code == 0
    assert took_s < GRACE_S


@pytest.mark.parametrize("way", WAYS)
def test_an_open_stream_is_told_that_its_service_drains_and_when_to_come_again(
    way: str, processes: Processes, tmp_path: Path
) -> None:
    models = copy_models(tmp_path / "models", "digits")
    service = server = processes.service("vision", models, "--front", front_of(way))
    if way == ROUTED:
        server = processes.router(tmp_path, {"vision": [service.address]})
        wait_until_routed(server, [("digits", "1")])
    requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    stream = server.channel.stream_stream(STREAM_INFER)(iter(requests.get, None), GRACE_S)
    requests.put(t.infer_digits())
    next(stream)

    code, _ = stop(service)
    with pytest.raises(grpc.RpcError) as caught:
        next(stream)
    requests.put(None)

    refusal = refusal_of(caught.value)
    check_form(refusal)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    assert refusal.retry_after_s is not None
    assert code == 0


def label(reply: bytes) -> str:
    return VisionServiceClassifyResponse.FromString(reply).results[0].categories[0].label


def stop(server: Server) -> tuple[int, float]:
    """SIGTERM: the exit code, and how many seconds the end took."""
    begun = time.monotonic()
    server.process.signal(signal.SIGTERM)
    return server.process.wait(), time.monotonic() - begun


def health_watch(server: Server) -> list[int]:
    """The states of the whole process that an open health Watch is told, as they come; it is never closed from here."""
    states: list[int] = []
    stream = server.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
    first = threading.Event()

    def read() -> None:
        try:
            for message in stream:
                states.append(health_pb2.HealthCheckResponse.FromString(message).status)
                first.set()
        except grpc.RpcError:
            return

    threading.Thread(target=read, daemon=True).start()
    assert first.wait(GRACE_S)
    return states


@each_front
def test_a_service_ends_with_0_whatever_its_workers_do_meanwhile(
    front: str, processes: Processes, tmp_path: Path
) -> None:
    models = copy_models(tmp_path / "models", "digits")

    flags = ("--front", front, "--drain-notice-s", "0")
    codes = [processes.service("vision", models, *flags).process.terminate() for _ in range(6)]

    assert codes == [0] * 6
