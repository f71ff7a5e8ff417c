"""Fixtures of the router's tests: whatever they start ends with the test or with its module."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.router.processes import Replica, RunningRouter, Start, SteadyFleet, start_replica, start_router


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SteadyFleet]:
    replicas = [start_replica("a", "small:1", "small:2", "big:1"), start_replica("b", "small:1", "small:2")]
    router = start_router(tmp_path_factory.mktemp("router"), {"text": [replica.address for replica in replicas]})
    router.wait_until_models(lambda ready: ready.get(("small", "1")) == 2 and ready.get(("big", "1")) == 1)
    yield SteadyFleet(router, router.inference(), router.text())
    for channel in router.channels:
        channel.close()
    for process in (router.process, *(replica.process for replica in replicas)):
        process.kill()
        process.wait()


@pytest.fixture
def replica() -> Iterator[Start]:
    """Starts replicas that end with the test."""
    started: list[Replica] = []

    def start(name: str, *models: str, **options: object) -> Replica:
        started.append(start_replica(name, *models, **options))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Callable[..., RunningRouter]]:
    """Starts routers that end with the test."""
    started: list[RunningRouter] = []

    def start(services: dict[str, object], *arguments: str, **others: object) -> RunningRouter:
        started.append(start_router(tmp_path, services, *arguments, **others))
        return started[-1]

    yield start
    for one in started:
        for channel in one.channels:
            channel.close()
        one.process.kill()
        one.process.wait()
