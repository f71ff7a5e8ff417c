"""The inventory as it changes: one writer's side for the watchers, one reader's side for everything that follows it.

A reader that is slow sees the newest inventory, never a backlog. All of it runs on one event loop, without locks.
"""

import asyncio
from collections.abc import AsyncIterator

from services.router.inventory import Endpoint, Inventory


class Fleet:
    """The current inventory, whether the router serves, and a way to wait for either to change."""

    def __init__(self) -> None:
        self.inventory = Inventory()
        self.serving = False
        self.draining = False
        self._changed = asyncio.Event()

    def put(self, endpoint: Endpoint) -> None:
        """Take what an endpoint reports now."""
        if self.inventory.endpoints.get((endpoint.service, endpoint.address)) != endpoint:
            self.inventory = self.inventory.with_endpoint(endpoint)
            self._notify()

    def forget(self, service: str, address: str) -> None:
        """An endpoint is no longer configured."""
        self.inventory = self.inventory.without(service, address)
        self._notify()

    def set_serving(self, serving: bool) -> None:
        """Whether the proxy answers with a configuration of ours."""
        if self.serving != serving:
            self.serving = serving
            self._notify()

    def drain(self) -> None:
        """Say that the router ends: health turns NOT_SERVING and watches end."""
        self.draining = True
        self._notify()

    async def changes(self) -> AsyncIterator[Inventory]:
        """The inventory now and after each change, until the router drains: that state is yielded last."""
        while True:
            changed = self._changed
            yield self.inventory
            if self.draining:
                return
            await changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
