"""Server reflection, for callers who have no .proto: answered by grpcio's servicer out of descriptor pools.

The typed API is in protobuf's own pool for as long as the process lives. What models have for themselves comes and goes
with them, so a request about a model's package is answered out of a pool made for it, of that model's file alone. The
two versions of the protocol have the same messages, and each asks by its own path.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import Default, DescriptorPool
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from services.runtime.front import UnaryAnswer
from services.runtime.messages import parse

if TYPE_CHECKING:
    import grpc

REFLECTION_METHODS = tuple(
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha")
)


def reflection_answer(
    service_names: Sequence[str], own_files: Callable[[], Mapping[str, FileDescriptorProto]]
) -> UnaryAnswer:
    """What answers one request about the services of these full names, about those of `own_files`, which are by
    package, and about reflection itself.
    """

    def answer(message: bytes) -> bytes:
        request = parse(ServerReflectionRequest, message)
        files = own_files()
        return reflected(request, (*service_names, *own_names(files)), files.get(asked_package(request)))

    return answer


def reflected(request: ServerReflectionRequest, names: Iterable[str], own: FileDescriptorProto | None) -> bytes:
    """The answer of a server that has the services of these full names. `own` is the file of the model that the request
    asks about, where it asks about one.
    """
    pool = Default() if own is None else DescriptorPool()
    if own is not None:
        pool.Add(own)
    servicer = reflection.ReflectionServicer((*names, reflection.SERVICE_NAME), pool)
    no_context = cast("grpc.ServicerContext", None)  # it is not looked at
    asked = iter((_by_file(request, pool),))
    answers: Iterable[ServerReflectionResponse] = servicer.ServerReflectionInfo(asked, no_context)
    answer = next(iter(answers))
    answer.original_request.CopyFrom(request)
    return answer.SerializeToString()


def own_names(files: Mapping[str, FileDescriptorProto]) -> list[str]:
    """The full names of the services in these files."""
    return [f"{file.package}.{service.name}" for file in files.values() for service in file.service]


def asked_package(request: ServerReflectionRequest) -> str:
    """The package, of four words as a model's own is, of the symbol or the file that a request asks about."""
    asked = request.file_containing_symbol or request.file_by_filename.replace("/", ".")
    return ".".join(asked.split(".")[:4])


def _by_file(request: ServerReflectionRequest, pool: DescriptorPool) -> ServerReflectionRequest:
    """The request, about its service where it is about a method: pools find no file by a method's name."""
    if not request.file_containing_symbol:
        return request
    try:
        method = pool.FindMethodByName(request.file_containing_symbol)
    except KeyError:
        return request
    return ServerReflectionRequest(host=request.host, file_containing_symbol=method.containing_service.full_name)
