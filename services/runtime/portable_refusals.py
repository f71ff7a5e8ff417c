"""How an error leaves the portable front: counted by its reason, and told in full to the caller."""

from collections import Counter
from collections.abc import Mapping
from typing import NoReturn, TypeAlias

import grpc
from grpc import aio

from services.runtime.errors import ServingError
from services.runtime.status import DETAILS_TRAILER, bounded_message, grpc_code, status_details

Context: TypeAlias = aio.ServicerContext[bytes, bytes]
Trailers: TypeAlias = tuple[tuple[str, str], ...]

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class Refusals:
    """Lives on the event loop; `by_reason` may be read from anywhere."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def count(self, error: ServingError) -> None:
        self._counts[error.reason] += 1

    async def abort(self, context: Context, error: ServingError, trailers: Trailers = ()) -> NoReturn:
        """End the RPC with the error. Raises what grpcio ends a handler with."""
        self.count(error)
        details = (DETAILS_TRAILER, status_details(error))
        await context.abort(_CODES[grpc_code(error)], bounded_message(error), (*trailers, details))

    def by_reason(self) -> Mapping[str, int]:
        return dict(self._counts)
