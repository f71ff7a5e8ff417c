"""A served repository for tests."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import grpc
import pytest

from services.runtime.front import TypedRoute
from services.runtime.fronts import FRONTS
from tests.contract.conftest import front_name
from tests.unit.services.runtime.served import Served, repository

__all__ = ["front_name"]


@pytest.fixture
def serve(front_name: str, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Makes a repository over `tmp_path / models` behind a front of its own, of each kind."""
    ends: list[Callable[[], None]] = []

    def make(routes: Sequence[TypedRoute] = (), **settings: object) -> Served:
        models = tmp_path / "models"
        front = FRONTS[front_name]("127.0.0.1:0", tuple(routes))
        channel = grpc.insecure_channel(front.address, [("grpc.use_local_subchannel_pool", 1)])
        ends.extend((channel.close, lambda: front.drain(grace_s=0, notice_s=0)))
        return Served(models, front, repository(models, front, **settings), channel)

    yield make
    for end in ends:
        end()
