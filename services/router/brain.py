"""The brain's gRPC server on a Unix socket: what Envoy cannot place, and what concerns the whole fleet."""

from collections.abc import Callable, Mapping

import grpc
import grpc.aio

from services.router.calls import RpcHandler
from services.router.channels import SERVER_OPTIONS
from services.router.xds_types import MAX_MESSAGE_BYTES
from services.runtime.errors import unknown_method
from services.runtime.rpc_errors import Context, refuse

Handlers = Mapping[str, RpcHandler]


class MethodTable(grpc.GenericRpcHandler):
    """Handlers by path, and one for the methods that models have for themselves; whatever else is refused."""

    def __init__(self, handlers: Handlers, of_model: Callable[[str], "RpcHandler | None"]) -> None:
        self._handlers = handlers
        self._of_model = of_model

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> RpcHandler:
        path = handler_call_details.method
        return self._handlers.get(path) or self._of_model(path) or _unknown(path)


def _unknown(path: str) -> RpcHandler:
    async def refuse_it(_: object, context: Context) -> None:
        refuse(context, unknown_method(path))

    return grpc.stream_stream_rpc_method_handler(refuse_it)


def brain_server(
    socket_path: str, handlers: Handlers, of_model: Callable[[str], "RpcHandler | None"]
) -> grpc.aio.Server:
    """A server that is yet to be started."""
    server = grpc.aio.server(
        handlers=[MethodTable(handlers, of_model)],
        options=[
            *SERVER_OPTIONS,
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", -1),
        ],
    )
    server.add_insecure_port(f"unix:{socket_path}")
    return server
