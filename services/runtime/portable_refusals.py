"""How an error leaves the portable front: counted by its reason, and told in full to the caller."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn, TypeAlias

from services.runtime.errors import ServingError, without_frames
from services.runtime.rpc_errors import Context, Trailers, abort

AsyncAnswer: TypeAlias = Callable[[bytes], Awaitable[bytes]]


async def outcome(answer: AsyncAnswer, message: bytes) -> bytes | ServingError:
    """The answer, or the error without its frames: grpcio keeps the abort that it becomes, and the frame that aborts,
    until the garbage collector comes by.
    """
    try:
        return await answer(message)
    except ServingError as error:
        return without_frames(error)


class Refusals:
    """Lives on the event loop; `by_reason` may be read from anywhere."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def count(self, error: ServingError) -> None:
        self._counts[error.reason] += 1

    async def abort(self, context: Context, error: ServingError, trailers: Trailers = ()) -> NoReturn:
        """End the RPC with the error. Raises what grpcio ends a handler with."""
        self.count(error)
        await abort(context, error, trailers)

    def by_reason(self) -> Mapping[str, int]:
        return dict(self._counts)
