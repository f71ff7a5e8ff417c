"""The contract of `services.runtime.front.Front`: every test here runs against every front that is installed."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
import pytest
from services.runtime.front import Front, Limits, Queue, QueuePolicy, QueueSpec, Signature, TensorSignature, TypedRoute
from services.runtime.fronts import FRONTS

EMBED = TypedRoute("/argosy.v1.TextService/Embed", rows_field=3, rows_name="texts")
TAG = TypedRoute("/argosy.v1.TextService/Tag", rows_field=3, rows_name="texts")
SIGNATURE = Signature(
    inputs=(TensorSignature("x", "FP32", (-1, 3)), TensorSignature("names", "BYTES", (-1, -1))),
    outputs=(TensorSignature("y", "FP32", (-1, 3)), TensorSignature("echo", "BYTES", (-1, -1))),
)


def spec(model: str = "m", version: str = "1", **policy: int) -> QueueSpec:
    settings = {"max_batch_rows": 8, "capacity_rows": 32} | policy
    return QueueSpec(model, version, (EMBED,), SIGNATURE, QueuePolicy(**settings), device="cpu")


@dataclass
class Served:
    """A front, a channel to it, and its queues that a test opened."""

    front: Front
    channel: grpc.Channel
    threads: ThreadPoolExecutor

    def open(self, queue_spec: QueueSpec | None = None) -> Queue:
        queue_spec = queue_spec or spec()
        self.front.set_default_version(queue_spec.model, queue_spec.version)
        return self.front.open_queue(queue_spec)

    def unary(self, method: str) -> grpc.UnaryUnaryMultiCallable:
        return self.channel.unary_unary(method)


@pytest.fixture(params=sorted(FRONTS))
def make_front(request: pytest.FixtureRequest) -> Iterator[Callable[..., Front]]:
    fronts: list[Front] = []

    def make(**settings: object) -> Front:
        fronts.append(FRONTS[request.param]("127.0.0.1:0", (EMBED, TAG), **settings))
        return fronts[-1]

    yield make
    for front in fronts:
        front.drain(grace_s=0, notice_s=0)


@pytest.fixture
def served(make_front: Callable[..., Front]) -> Iterator[Served]:
    front = make_front(limits=Limits(max_message_bytes=1 << 20))
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(front.address, options) as channel, ThreadPoolExecutor(16) as threads:
        yield Served(front, channel, threads)
        for stats in front.stats().queues:
            front.close_queue(stats.model, stats.version)
