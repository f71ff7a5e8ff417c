"""Server reflection for the native front, answered by grpcio's own servicer out of protobuf's descriptor pool.

Rust knows no descriptors; it hands over each request of the stream and sends what comes back, in order.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

from google.protobuf.message import DecodeError, Message
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest

from services.runtime.front import UnaryAnswer
from services.runtime.wire import malformed

if TYPE_CHECKING:
    import grpc

REFLECTION = f"/{reflection.SERVICE_NAME}/ServerReflectionInfo"


def reflection_answer(service_names: Sequence[str]) -> UnaryAnswer:
    """What answers one request about the services of these full names, and about reflection itself."""
    servicer = reflection.ReflectionServicer((*service_names, reflection.SERVICE_NAME))
    no_context = cast("grpc.ServicerContext", None)  # it is not looked at

    def answer(message: bytes) -> bytes:
        try:
            request = ServerReflectionRequest.FromString(message)
        except DecodeError:
            raise malformed("grpc.reflection.v1alpha.ServerReflectionRequest") from None
        answers: Iterable[Message] = servicer.ServerReflectionInfo(iter((request,)), no_context)
        return next(iter(answers)).SerializeToString()

    return answer
