"""The requests of a stream, which the caller's own code makes while gRPC reads them.

gRPC keeps what that code raises to itself: it ends a blocking call with words of its own and cancels one for asyncio.
So it is kept here, to be raised again where the answers are read.
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

from argosy_client.methods import Request


class OwnFailure:
    """What the making of one stream's requests raised; None while nothing did."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def kept(self, requests: Iterable[Request]) -> Iterator[Request]:
        try:
            yield from requests
        except Exception as error:
            self.error = error
            raise

    async def kept_async(self, requests: AsyncIterable[Request]) -> AsyncIterator[Request]:
        try:
            async for request in requests:
                yield request
        except Exception as error:
            self.error = error
            raise
