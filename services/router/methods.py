"""Which methods carry a model, under which field names: read from the protos, so that a new method is routed by itself.

Envoy finds the model in the message with the descriptors made here. Methods of the whole fleet (is it live, what is
there, load and unload) are answered by the brain, whether or not their messages name a model.
"""

from dataclasses import dataclass

from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from argosy.v1 import model_pb2, tabular_pb2, text_pb2, vision_pb2
from inference import grpc_service_pb2
from stubs.names import EVERY_METHOD

_FILES = (grpc_service_pb2, model_pb2, tabular_pb2, text_pb2, vision_pb2)

FLEET_METHODS = frozenset(
    f"/{service}/{method}"
    for service, methods in {
        "argosy.v1.ModelService": ("ListModels", "WatchModels"),
        "grpc.health.v1.Health": ("Check", "Watch"),
        "grpc.reflection.v1.ServerReflection": ("ServerReflectionInfo",),
        "grpc.reflection.v1alpha.ServerReflection": ("ServerReflectionInfo",),
        "inference.GRPCInferenceService": (
            "ModelStatistics",
            "RepositoryIndex",
            "RepositoryModelLoad",
            "RepositoryModelUnload",
            "ServerLive",
            "ServerMetadata",
            "ServerReady",
        ),
    }.items()
    for method in methods
)


@dataclass(frozen=True, slots=True)
class ModelMethod:
    """A method whose request says in field 1 which model and in field 2 which version it is for."""

    path: str
    request: type[Message]
    model_field: str
    version_field: str

    @property
    def rpc(self) -> str:
        """'package.Service.Method', as Envoy names it."""
        return self.path[1:].replace("/", ".")

    def addressee(self, message: Message) -> tuple[str, str]:
        """(model, version) that a request names."""
        return getattr(message, self.model_field), getattr(message, self.version_field)


def model_methods() -> dict[str, ModelMethod]:
    """Every method that is routed by its model, by path."""
    methods = (
        _model_method(method)
        for file in _FILES
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    )
    return {method.path: method for method in methods if method.path not in FLEET_METHODS}


def own_method(path: str) -> ModelMethod | None:
    """The method that a model has for itself, argosy.models.*: its model and version are where every request has them.

    Which there are the services know; the rest of the message is nothing to a router.
    """
    if not path.startswith(EVERY_METHOD.rstrip("*")):
        return None
    return ModelMethod(path, model_pb2.GetModelRequest, "model", "version")


def service_names() -> tuple[str, ...]:
    """The full names of the services that the router answers, health and reflection apart."""
    return tuple(service.full_name for file in _FILES for service in file.DESCRIPTOR.services_by_name.values())


def descriptor_set() -> bytes:
    """A google.protobuf.FileDescriptorSet of our protos with all that they import, dependencies first."""
    ordered: dict[str, FileDescriptorProto] = {}
    for file in _FILES:
        _add_file(file.DESCRIPTOR, ordered)
    return FileDescriptorSet(file=ordered.values()).SerializeToString(deterministic=True)


def _add_file(file: FileDescriptor, ordered: dict[str, FileDescriptorProto]) -> None:
    if file.name in ordered:
        return
    for dependency in file.dependencies:
        _add_file(dependency, ordered)
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    ordered[file.name] = proto


def _model_method(method: MethodDescriptor) -> ModelMethod:
    fields = method.input_type.fields_by_number
    return ModelMethod(
        path=f"/{method.containing_service.full_name}/{method.name}",
        request=GetMessageClass(method.input_type),
        model_field=fields[1].name if 1 in fields else "",
        version_field=fields[2].name if 2 in fields else "",
    )
