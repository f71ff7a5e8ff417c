"""A method that answers every message of a stream, and reflection, which is one."""

import time
from collections.abc import Iterator
from queue import SimpleQueue

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from argosy.v1 import text_pb2  # noqa: F401  what reflection tells must be known to the process
from services.runtime.errors import invalid_input
from services.runtime.reflection import REFLECTION_METHODS, reflection_answer
from tests.contract.harness import Served, refusal_of

NAMES = ("argosy.v1.TextService", "inference.GRPCInferenceService", "grpc.health.v1.Health")
EACH = "/argosy.v1.Test/Each"


def own_file() -> FileDescriptorProto:
    package = "argosy.models.wine.v1"
    file = FileDescriptorProto(name="argosy/models/wine/v1/wine.proto", package=package, syntax="proto3")
    file.message_type.add(name="Ask")
    file.service.add(name="WineService").method.add(
        name="Predict", input_type=f".{package}.Ask", output_type=f".{package}.Ask"
    )
    return file


@pytest.fixture(params=REFLECTION_METHODS)
def asked(served: Served, request: pytest.FixtureRequest) -> "Asked":
    files: dict[str, FileDescriptorProto] = {}
    served.front.answer_stream(request.param, reflection_answer(NAMES, lambda: files))
    return Asked(served.channel, request.param, files)


class Asked:
    """A server with reflection, by one version of it; `files` are those of its models now."""

    def __init__(self, channel: grpc.Channel, method: str, files: dict[str, FileDescriptorProto]) -> None:
        self.files = files
        self._call = channel.stream_stream(
            method, ServerReflectionRequest.SerializeToString, ServerReflectionResponse.FromString
        )

    def answers(self, *requests: ServerReflectionRequest) -> Iterator[ServerReflectionResponse]:
        return iter(self._call(iter(requests), timeout=30))

    def names(self) -> set[str]:
        (response,) = self.answers(ServerReflectionRequest(list_services=""))
        return {service.name for service in response.list_services_response.service}

    def methods(self, **of: str) -> list[str]:
        (response,) = self.answers(ServerReflectionRequest(**of))
        found = response.file_descriptor_response.file_descriptor_proto
        services = [service for file in map(FileDescriptorProto.FromString, found) for service in file.service]
        return [method.name for service in services for method in service.method]


def test_the_services_that_were_named_are_told(asked: Asked) -> None:
    assert set(NAMES) <= asked.names()


def test_a_service_is_described(asked: Asked) -> None:
    assert asked.methods(file_containing_symbol="argosy.v1.TextService") == ["Classify", "Embed", "Tag"]


def test_a_models_own_service_is_told_and_described_for_as_long_as_it_is_there(asked: Asked) -> None:
    name = "argosy.models.wine.v1.WineService"
    assert name not in asked.names()
    asked.files["argosy.models.wine.v1"] = own_file()
    assert name in asked.names()
    assert asked.methods(file_containing_symbol=name) == ["Predict"]
    assert asked.methods(file_by_filename="argosy/models/wine/v1/wine.proto") == ["Predict"]
    asked.files.clear()
    assert asked.methods(file_containing_symbol=name) == []


def test_several_questions_of_one_stream_are_answered_in_order(asked: Asked) -> None:
    listed, described = asked.answers(
        ServerReflectionRequest(list_services=""),
        ServerReflectionRequest(file_containing_symbol="argosy.v1.TextService.Embed"),
    )
    assert listed.HasField("list_services_response")
    assert described.HasField("file_descriptor_response")


def test_a_symbol_that_is_not_there_is_not_found(asked: Asked) -> None:
    for symbol in ("argosy.v1.TextService.Sing", "argosy.models.wine.v1.WineService"):
        (response,) = asked.answers(ServerReflectionRequest(file_containing_symbol=symbol))
        assert response.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
        assert response.original_request.file_containing_symbol == symbol


def test_without_it_reflection_is_off(served: Served) -> None:
    call = served.channel.stream_stream(REFLECTION_METHODS[0])(iter([b""]), timeout=30)
    error = refusal_of(call.exception())
    assert (error.code, error.reason) == (grpc.StatusCode.UNIMPLEMENTED, "UNKNOWN_METHOD")


def test_an_error_ends_the_stream_after_the_answers_before_it(served: Served) -> None:
    def answer(message: bytes) -> bytes:
        if message == b"bad":
            raise invalid_input("it is bad", "message")
        return message

    served.front.answer_stream(EACH, answer)
    replies = served.channel.stream_stream(EACH)(iter([b"good", b"bad", b"good"]), timeout=30)
    assert next(replies) == b"good"
    with pytest.raises(grpc.RpcError) as caught:
        next(replies)
    assert refusal_of(caught.value).message == "it is bad"


def test_an_open_stream_does_not_hold_up_a_drain(served: Served) -> None:
    served.front.answer_stream(EACH, lambda message: message)
    messages: SimpleQueue[bytes] = SimpleQueue()
    replies = served.channel.stream_stream(EACH)(iter(messages.get, b"end"), timeout=60)
    messages.put(b"first")
    assert next(replies) == b"first"
    began = time.monotonic()
    served.front.drain(grace_s=30, notice_s=0)
    assert time.monotonic() - began < 15
    messages.put(b"end")
