"""What a call is told that comes when its fleet has been closed, blocking and for asyncio."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from argosy_client import AsyncFleet, CancelledError, Fleet
from tests.unit.clients.conftest import Script


def test_a_call_of_a_closed_fleet_is_cancelled(address: str) -> None:
    fleet = Fleet(address)
    fleet.close()
    with pytest.raises(CancelledError, match="the fleet is closed"):
        fleet.text("echo").classify("a")


def test_a_watch_of_a_closed_fleet_is_cancelled(address: str) -> None:
    fleet = Fleet(address)
    fleet.close()
    with pytest.raises(CancelledError, match="the fleet is closed"):
        next(fleet.watch_models())


def test_the_next_of_many_calls_is_cancelled_where_the_fleet_was_closed_before_it(address: str) -> None:
    fleet = Fleet(address)

    def texts() -> Iterator[str]:
        yield from ["a"] * 32
        fleet.close()
        yield "b"

    with pytest.raises(CancelledError, match="the fleet is closed"):
        list(fleet.text("echo").classify_all(texts()))


@pytest.mark.parametrize("asked", ["text", "watch"])
def test_a_call_of_a_closed_asyncio_fleet_is_cancelled(address: str, asked: str) -> None:
    async def call() -> None:
        fleet = AsyncFleet(address)
        await fleet.close()
        if asked == "text":
            await fleet.text("echo").classify("a")
        else:
            await anext(fleet.watch_models())

    with pytest.raises(CancelledError, match="the fleet is closed"):
        asyncio.run(call())


def test_what_runs_when_an_asyncio_fleet_is_closed_is_cancelled(address: str, script: Script) -> None:
    arrived, released = threading.Event(), threading.Event()

    def hold() -> None:
        arrived.set()
        released.wait(20)

    script.before_answer = hold

    async def close_amid_a_call() -> None:
        fleet = AsyncFleet(address)
        task = asyncio.create_task(fleet.text("echo").classify("a"))
        await asyncio.to_thread(arrived.wait, 20)
        await fleet.close()
        await task

    try:
        with pytest.raises(CancelledError, match="the fleet is closed"):
            asyncio.run(close_amid_a_call())
    finally:
        released.set()
