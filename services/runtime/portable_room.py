"""Memory for large messages in the portable front, of all calls of the process together.

grpcio has read a message before anybody can look at its head, so what comes at once is held whole; but who finds no
room for a while is refused, so that no more stays than a few messages of the greatest size take. The native front
waits before it reads (`front/src/memory.rs`).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.runtime.errors import exhausted

# A message up to this needs no room: the rows of its queue bound it.
_SMALL_BYTES = 1 << 20
# Messages of the greatest size that there is room for at one time.
_AT_ONCE = 4
_LONGEST_WAIT_S = 5.0


class Room:
    """Lives on the event loop. `limit_bytes`: of one message."""

    def __init__(self, limit_bytes: int, longest_wait_s: float = _LONGEST_WAIT_S) -> None:
        self._all_bytes = self._free_bytes = _AT_ONCE * limit_bytes
        self._longest_wait_s = longest_wait_s
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def held(self, size: int) -> AsyncIterator[None]:
        """Room for a message, in turn. Raises ServingError (EXHAUSTED) where there is none for a while."""
        if size <= _SMALL_BYTES:
            yield
            return
        wanted = min(size, self._all_bytes)
        try:
            async with asyncio.timeout(self._longest_wait_s):
                await self._take(wanted)
        except TimeoutError:
            text = f"there was no room for a message of up to {size} bytes within {self._longest_wait_s:.0f} s"
            raise exhausted("NO_ROOM", text, retry_after_s=1.0) from None
        try:
            yield
        finally:
            self._free_bytes += wanted
            self._freed.set()

    async def _take(self, wanted: int) -> None:
        async with self._turn:
            while self._free_bytes < wanted:
                self._freed.clear()
                await self._freed.wait()
            self._free_bytes -= wanted
