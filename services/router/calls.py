"""The seam between grpcio and the brain's answers: parse, answer, and give every failure the fleet's form.

An answer is a coroutine from a request message to a reply message, or an asynchronous iterator of them. It raises
ServingError for what it foresaw. What nobody foresaw becomes INTERNAL with an id, and goes to the log.
"""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NoReturn, TypeAlias, TypeVar

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError, Message

from services.runtime.errors import ServingError, internal, invalid_input
from services.runtime.status import DETAILS_TRAILER, bounded_message, grpc_code, status_details

_log = structlog.get_logger(__name__)

Request = TypeVar("Request", bound=Message)
# Quoted: grpcio's classes take parameters for type checkers only.
Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
RpcHandler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"

_CODES = {code.value[0]: code for code in grpc.StatusCode}


def parse(message_type: type[Request], data: bytes) -> Request:
    """`data` as a message. Raises INVALID_INPUT, which names the message's type."""
    try:
        return message_type.FromString(data)
    except DecodeError:
        name = message_type.DESCRIPTOR.full_name
        raise invalid_input(f"the message is no valid {name}", reason="MALFORMED_MESSAGE") from None


async def abort(context: Context, error: ServingError) -> NoReturn:
    """End a call with `error`."""
    details = (DETAILS_TRAILER, status_details(error))
    await context.abort(_CODES[grpc_code(error)], bounded_message(error), (details,))


def unary(request_type: type[Request], answer: Callable[[Request, Context], Awaitable[Message]]) -> RpcHandler:
    """A handler of raw bytes for a unary answer."""

    async def handle(data: bytes, context: Context) -> bytes:
        try:
            reply = await answer(parse(request_type, data), context)
        except ServingError as error:
            await abort(context, error)
        except Exception as error:
            if isinstance(error, grpc.aio.AbortError):
                raise
            await abort(context, _unforeseen(error))
        return reply.SerializeToString()

    return grpc.unary_unary_rpc_method_handler(handle)


def streaming(request_type: type[Request], answer: Callable[[Request], AsyncIterator[Message]]) -> RpcHandler:
    """A handler of raw bytes for an answer in parts."""

    async def handle(data: bytes, context: Context) -> AsyncIterator[bytes]:
        try:
            async for reply in answer(parse(request_type, data)):
                yield reply.SerializeToString()
        except ServingError as error:
            await abort(context, error)

    return grpc.unary_stream_rpc_method_handler(handle)


def _unforeseen(error: Exception) -> ServingError:
    error_id = secrets.token_hex(4)
    _log.error("unforeseen failure", error_id=error_id, exc_info=error)
    return internal(error_id)
