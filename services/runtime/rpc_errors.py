"""How a ServingError ends an RPC of grpcio's, in the portable front and in the router alike.

What the error says in code, text and details is `status.py`'s; whether it is counted is the caller's. grpcio keeps an
abort, and with it the frames of the handler and a message in them, until the garbage collector comes by. The router's
handlers answer with streams and refuse. The portable front's answer with a message and abort, since grpcio would send
an empty message first, and a proxy tries again only what has failed before anything was sent; they let go of theirs
before.
"""

from typing import NoReturn, TypeAlias

import grpc
from grpc import aio

from services.runtime.errors import ServingError
from services.runtime.status import DETAILS_TRAILER, bounded_message, grpc_code, status_details

Context: TypeAlias = aio.ServicerContext[bytes, bytes]
Trailers: TypeAlias = tuple[tuple[str, str], ...]

_CODES = {code.value[0]: code for code in grpc.StatusCode}


async def abort(context: Context, error: ServingError, trailers: Trailers = ()) -> NoReturn:
    """End the RPC with the error, its details after `trailers`. Raises what grpcio ends a handler with."""
    details = (DETAILS_TRAILER, status_details(error))
    await context.abort(_CODES[grpc_code(error)], bounded_message(error), (*trailers, details))


def refuse(context: Context, error: ServingError) -> None:
    """An RPC that answers with a stream ends with the error once its handler returns."""
    context.set_code(_CODES[grpc_code(error)])
    context.set_details(bounded_message(error))
    context.set_trailing_metadata(((DETAILS_TRAILER, status_details(error)),))
