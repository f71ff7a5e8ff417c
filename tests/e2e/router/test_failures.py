"""Replicas, and the proxy itself, that die or leave under load: what callers see, and how soon all is well again."""

import http.client
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from inference import grpc_service_pb2 as oip
from tests.e2e.router.processes import RunningRouter, Start, has_retry_info, infer

CALLERS = 16


@dataclass
class Traffic:
    """What the callers of a router have seen."""

    answered: Counter[str] = field(default_factory=Counter)
    errors: list[tuple[object, str]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    ended: bool = False

    def wait_for(self, seen: Callable[[], bool], timeout_s: float = 10) -> None:
        with self.changed:
            assert self.changed.wait_for(seen, timeout_s), (self.answered, self.errors[:3])

    def wait_for_both(self) -> None:
        self.wait_for(lambda: min(self.answered["a/1"], self.answered["b/1"]) > 100)

    def wait_for_more(self, count: int) -> None:
        """Until `count` more calls were answered."""
        goal = self.answered.total() + count
        self.wait_for(lambda: self.answered.total() >= goal)


@contextmanager
def traffic(router: RunningRouter, callers: int = CALLERS) -> Iterator[Traffic]:
    """Callers with one call at a time each, until the block ends."""
    seen = Traffic()

    def call() -> None:
        stub = router.inference()
        while not seen.ended:
            try:
                outcome, error = stub.ModelInfer(infer("small"), timeout=10), None
            except grpc.RpcError as failure:
                outcome, error = None, (failure.code(), failure.details(), time.monotonic())
            with seen.changed:
                if outcome is None:
                    seen.errors.append(error)
                else:
                    seen.answered[f"{outcome.id}/{outcome.model_version}"] += 1
                seen.changed.notify_all()

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        seen.ended = True
        for thread in threads:
            thread.join()


def _call_without_a_clock(address: str, request: oip.ModelInferRequest, timeout: str) -> tuple[int, str]:
    """grpc-status and grpc-message of a call over HTTP/1.1, where no client library watches the deadline as well."""
    message = request.SerializeToString()
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request(
        "POST",
        "/inference.GRPCInferenceService/ModelInfer",
        body=b"\0" + len(message).to_bytes(4, "big") + message,
        headers={"content-type": "application/grpc", "grpc-timeout": timeout},
    )
    headers = connection.getresponse().headers
    connection.close()
    return int(headers["grpc-status"]), headers["grpc-message"]


@pytest.fixture
def pair(replica: Start, router: Callable[..., RunningRouter]) -> tuple[RunningRouter, list]:
    replicas = [replica("a", "small:1", delay_s=0.01), replica("b", "small:1", delay_s=0.01)]
    running = router({"text": [one.address for one in replicas]})
    running.wait_until_models(lambda ready: ready.get(("small", "1")) == 2)
    return running, replicas


def test_no_caller_sees_a_replica_being_killed(pair: tuple[RunningRouter, list]) -> None:
    running, replicas = pair
    with traffic(running) as seen:
        seen.wait_for_both()
        replicas[1].kill()
        seen.wait_for_more(300)
    assert seen.errors == []


def test_no_caller_sees_a_replica_being_stopped(pair: tuple[RunningRouter, list]) -> None:
    running, replicas = pair
    with traffic(running) as seen:
        seen.wait_for_both()
        replicas[1].terminate()
        running.wait_until_models(lambda ready: ready.get(("small", "1")) == 1)
        replicas[1].process.wait(10)
        seen.wait_for_more(300)
    assert seen.errors == []


def test_a_replica_that_is_back_gets_its_share(pair: tuple[RunningRouter, list], replica: Start) -> None:
    running, replicas = pair
    replicas[1].kill()
    running.wait_until_models(lambda ready: ready.get(("small", "1")) == 1)
    with traffic(running) as seen:
        replica("c", "small:1", address=replicas[1].address, delay_s=0.01)
        seen.wait_for(lambda: seen.answered["c/1"] > 100)
    assert seen.errors == []


def test_with_every_replica_down_callers_are_told_at_once_and_served_soon_after(
    pair: tuple[RunningRouter, list], replica: Start
) -> None:
    running, replicas = pair
    for one in replicas:
        one.kill()
    stub = running.inference()
    started_at = time.monotonic()
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(infer("small"), timeout=10)
    assert time.monotonic() - started_at < 1
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert has_retry_info(caught.value)
    with traffic(running, callers=1) as seen:
        seen.wait_for(lambda: bool(seen.errors))
        replica("c", "small:1", address=replicas[0].address)
        back_at = time.monotonic()
        seen.wait_for(lambda: seen.answered["c/1"] > 0)
    assert time.monotonic() - back_at < 2


def test_no_caller_sees_a_new_version_coming_and_the_old_one_going(
    pair: tuple[RunningRouter, list], replica: Start
) -> None:
    running, replicas = pair
    with traffic(running) as seen:
        seen.wait_for_both()
        for one, name in zip(replicas, ("c", "d"), strict=True):
            one.terminate()
            one.process.wait(10)
            replica(name, "small:1", "small:2", address=one.address, delay_s=0.01)
            # One is replaced when the one before it has its share: the proxy has checked its health by then.
            seen.wait_for(lambda name=name: seen.answered[f"{name}/1"] + seen.answered[f"{name}/2"] > 20)
        seen.wait_for(lambda: seen.answered["d/2"] > 100)
    assert seen.errors == []


def test_a_frozen_replicas_call_ends_at_its_deadline(replica: Start, router: Callable[..., RunningRouter]) -> None:
    one = replica("a", "small:1")
    running = router({"text": [one.address]})
    running.inference().ModelInfer(infer("small"), wait_for_ready=True, timeout=10)
    one.process.send_signal(signal.SIGSTOP)
    status, message = _call_without_a_clock(running.address, infer("small"), timeout="200m")
    assert status == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    assert message == "the deadline passed before there was an answer"


def test_envoy_is_started_again_on_the_same_port(pair: tuple[RunningRouter, list]) -> None:
    running, _ = pair
    (envoy,) = psutil.Process(running.process.pid).children()
    health = health_pb2_grpc.HealthStub(running.channel())
    os.kill(envoy.pid, signal.SIGKILL)
    reply = health.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=10)
    assert reply.status == health_pb2.HealthCheckResponse.SERVING
    stub = running.inference()
    assert stub.ModelInfer(infer("small"), wait_for_ready=True, timeout=10).model_name == "small"
    # A compressed message takes the way through the brain and back.
    compressed = stub.ModelInfer(infer("small", id="x" * 1000), compression=grpc.Compression.Gzip, timeout=10)
    assert compressed.model_name == "small"


def test_envoy_ends_with_a_router_that_is_killed(pair: tuple[RunningRouter, list]) -> None:
    running, _ = pair
    (envoy,) = psutil.Process(running.process.pid).children()
    running.process.kill()
    assert psutil.wait_procs([envoy], timeout=5)[1] == []


def test_a_router_that_is_told_to_stop_finishes_what_it_has(pair: tuple[RunningRouter, list]) -> None:
    running, _ = pair
    slow = infer("small", parameters={"delay_s": {"double_param": 1.5}})
    statuses = health_pb2_grpc.HealthStub(running.channel()).Watch(health_pb2.HealthCheckRequest(), timeout=20)
    assert next(statuses).status == health_pb2.HealthCheckResponse.SERVING
    in_flight = running.inference().ModelInfer.future(slow, timeout=10)
    # Answered after the slow one was sent: it is in flight now.
    running.inference().ServerLive(oip.ServerLiveRequest(), timeout=10)
    running.process.terminate()
    assert next(statuses).status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert in_flight.result().model_name == "small"
    assert running.process.wait(10) == 0
