"""Reflection: a switch, off unless names are given."""

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from argosy.v1 import text_pb2  # noqa: F401  what reflection tells must be known to the process
from tests.contract.conftest import MakeFront

NAMES = ("argosy.v1.TextService", "inference.GRPCInferenceService", "grpc.health.v1.Health")


def test_the_services_that_were_named_are_told(make_front: MakeFront) -> None:
    front = make_front(reflection_names=NAMES)
    with grpc.insecure_channel(front.address) as channel:
        (response,) = ServerReflectionStub(channel).ServerReflectionInfo(
            iter([ServerReflectionRequest(list_services="")]), timeout=30
        )
    assert set(NAMES) <= {service.name for service in response.list_services_response.service}


def test_a_service_is_described(make_front: MakeFront) -> None:
    front = make_front(reflection_names=NAMES)
    with grpc.insecure_channel(front.address) as channel:
        (response,) = ServerReflectionStub(channel).ServerReflectionInfo(
            iter([ServerReflectionRequest(file_containing_symbol="argosy.v1.TextService")]), timeout=30
        )
    files = [FileDescriptorProto.FromString(file) for file in response.file_descriptor_response.file_descriptor_proto]
    assert [method.name for file in files for service in file.service for method in service.method] == [
        "Classify",
        "Embed",
        "Tag",
    ]


def test_without_names_reflection_is_off(make_front: MakeFront) -> None:
    front = make_front()
    with grpc.insecure_channel(front.address) as channel, pytest.raises(grpc.RpcError) as caught:
        next(ServerReflectionStub(channel).ServerReflectionInfo(iter([ServerReflectionRequest()]), timeout=30))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
