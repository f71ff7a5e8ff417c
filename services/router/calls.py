"""The seam between grpcio and the brain's answers: parse, answer, and give every failure the fleet's form.

An answer is a coroutine from a request message to a reply message, or an asynchronous iterator of them. It raises
ServingError for what it foresaw. What nobody foresaw becomes INTERNAL with an id, and goes to the log.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from services.runtime.errors import ServingError
from services.runtime.faults import unforeseen
from services.runtime.messages import parse
from services.runtime.rpc_errors import Context, refuse

Request = TypeVar("Request", bound=Message)
# Quoted: grpcio's class takes parameters for type checkers only.
RpcHandler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"


@asynccontextmanager
async def failures_told(context: Context) -> AsyncIterator[None]:
    """The call ends with what goes wrong in the block; nothing else of it reaches the caller."""
    try:
        yield
    except ServingError as error:
        refuse(context, error)
    except Exception as error:  # noqa: BLE001  the seam: whatever it is, it is logged and becomes INTERNAL
        refuse(context, unforeseen("the brain failed on a call", error))


def unary(request_type: type[Request], answer: Callable[[Request, Context], Awaitable[Message]]) -> RpcHandler:
    """A handler of raw bytes for an answer of one message: on the wire, a stream of one."""

    async def handle(data: bytes, context: Context) -> AsyncIterator[bytes]:
        async with failures_told(context):
            reply = await answer(parse(request_type, data), context)
            yield reply.SerializeToString()

    return grpc.unary_stream_rpc_method_handler(handle)


def streaming(request_type: type[Request], answer: Callable[[Request], AsyncIterator[Message]]) -> RpcHandler:
    """A handler of raw bytes for an answer in parts."""

    async def handle(data: bytes, context: Context) -> AsyncIterator[bytes]:
        async with failures_told(context):
            async for reply in answer(parse(request_type, data)):
                yield reply.SerializeToString()

    return grpc.unary_stream_rpc_method_handler(handle)
