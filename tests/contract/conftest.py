"""Every test of this folder runs against both fronts; against the native one where it is installed."""

from collections.abc import Callable, Iterator

import grpc
import pytest

from services.runtime.front import Front, Limits
from services.runtime.fronts import FRONTS, NATIVE, PORTABLE
from tests.contract.harness import EMBED, OPEN, TAG, Served

MAX_MESSAGE_BYTES = 1 << 20

MakeFront = Callable[..., Front]

NO_NATIVE = pytest.mark.skipif(NATIVE not in FRONTS, reason="the native front is not built here: no cargo")


@pytest.fixture(params=[pytest.param(NATIVE, marks=NO_NATIVE), PORTABLE])
def front_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make_front(front_name: str) -> Iterator[MakeFront]:
    fronts: list[Front] = []

    def make(address: str = "127.0.0.1:0", **settings: object) -> Front:
        fronts.append(FRONTS[front_name](address, (EMBED, TAG, OPEN), **settings))
        return fronts[-1]

    yield make
    for front in fronts:
        front.drain(grace_s=0, notice_s=0)


@pytest.fixture
def served(make_front: MakeFront) -> Iterator[Served]:
    """A front that takes messages of one mebibyte, and a client without limits of its own."""
    front = make_front(limits=Limits(max_message_bytes=MAX_MESSAGE_BYTES))
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(front.address, options) as channel:
        yield Served(front, channel)
