"""How a call begins in the portable front: its metadata is held against the limit, and a unary one has its message.

Metadata that is far over its limit grpcio refuses itself, without details. And of a unary call that ends without a
whole message grpcio would call no handler, so its caller would never hear: every method takes a stream.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import grpc

from services.runtime.errors import exhausted, invalid_input
from services.runtime.portable_refusals import Refusals
from services.runtime.rpc_errors import Context

MethodHandler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"  # generic in the stubs alone
Messages: TypeAlias = AsyncIterator[bytes]

# HTTP/2 counts each header with so many bytes more: RFC 9113, 6.5.2.
_HEADER_BYTES = 32


class Calls:
    """Handlers as grpcio wants them. Lives on the event loop."""

    def __init__(self, max_metadata_bytes: int, refusals: Refusals) -> None:
        self._max_metadata_bytes, self._refusals = max_metadata_bytes, refusals

    def unary(self, answer: Callable[[bytes, Context], Awaitable[bytes]]) -> MethodHandler:
        async def begin(_: Messages, context: Context) -> bytes:
            return await answer(await self._only_message(context), context)

        return grpc.stream_unary_rpc_method_handler(begin)

    def watch(self, answer: Callable[[bytes, Context], Awaitable[None]]) -> MethodHandler:
        """One message in, a stream out."""

        async def begin(_: Messages, context: Context) -> None:
            await answer(await self._only_message(context), context)

        return grpc.stream_stream_rpc_method_handler(begin)

    def stream(self, answer: Callable[[Messages, Context], Awaitable[None]]) -> MethodHandler:
        async def begin(messages: Messages, context: Context) -> None:
            await self._check_metadata(context)
            await answer(messages, context)

        return grpc.stream_stream_rpc_method_handler(begin)

    async def _only_message(self, context: Context) -> bytes:
        await self._check_metadata(context)
        # Not by an iterator, which grpcio's end of a call would keep, and with it the message.
        message: object = await context.read()
        if not isinstance(message, bytes):  # grpcio's EOF
            error = invalid_input("a unary call has one message", reason="MALFORMED_MESSAGE")
            return await self._refusals.abort(context, error)
        return message

    async def _check_metadata(self, context: Context) -> None:
        pairs = context.invocation_metadata() or ()
        size, limit = sum(len(name) + len(value) + _HEADER_BYTES for name, value in pairs), self._max_metadata_bytes
        if size > limit:
            error = exhausted("METADATA_TOO_LARGE", f"metadata of at most {limit} bytes is taken, got {size}")
            await self._refusals.abort(context, error)
