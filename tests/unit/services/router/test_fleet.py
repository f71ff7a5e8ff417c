"""The fleet's state on its event loop; each test is one small asynchronous story."""

import asyncio

from services.router.fleet import Fleet
from services.router.inventory import Inventory
from tests.unit.services.router.builders import endpoint


def test_a_follower_sees_the_state_now_and_each_change() -> None:
    async def story() -> None:
        fleet = Fleet()
        changes = fleet.changes()
        assert await anext(changes) == Inventory()
        fleet.put(endpoint("h:1", "small:1"))
        assert ("small", "1") in (await anext(changes)).ready_addresses()

    asyncio.run(story())


def test_the_same_report_again_is_no_change() -> None:
    async def story() -> None:
        fleet = Fleet()
        fleet.put(endpoint("h:1", "small:1"))
        changes = fleet.changes()
        await anext(changes)
        following = asyncio.ensure_future(anext(changes))
        fleet.put(endpoint("h:1", "small:1"))
        await asyncio.sleep(0)
        assert not following.done()
        fleet.put(endpoint("h:1", "small:2"))
        assert ("small", "2") in (await following).ready_addresses()

    asyncio.run(story())


def test_a_slow_follower_gets_the_newest_state_and_no_backlog() -> None:
    async def story() -> None:
        fleet = Fleet()
        changes = fleet.changes()
        await anext(changes)
        for version in ("1", "2", "3"):
            fleet.put(endpoint("h:1", f"small:{version}"))
        assert list((await anext(changes)).ready_addresses()) == [("small", "3")]

    asyncio.run(story())


def test_following_ends_with_the_drain() -> None:
    async def story() -> None:
        fleet = Fleet()
        fleet.drain()
        assert len([state async for state in fleet.changes()]) == 1

    asyncio.run(story())
