"""How an error leaves the portable front: counted by its reason, and told in full to the caller."""

from collections import Counter
from collections.abc import Mapping
from typing import NoReturn

from services.runtime.errors import ServingError
from services.runtime.rpc_errors import Context, Trailers, abort


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
