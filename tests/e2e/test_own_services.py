"""The services that models have for themselves come and go with them, and who has no stub finds them by reflection."""

from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from inference import grpc_service_pb2 as oip
from services.runtime.fronts import FRONTS
from tests.e2e import traffic as t
from tests.e2e.calls import call, refused
from tests.e2e.conftest import refused_by_the_router, wait_until_ready, wait_until_routed
from tests.e2e.disk import copy_models
from tests.e2e.harness import Processes, Server

LOAD = "/inference.GRPCInferenceService/RepositoryModelLoad"
UNLOAD = "/inference.GRPCInferenceService/RepositoryModelUnload"
LATE = "digits-functional"
SERVICE = "argosy.models.digits_functional.v1.DigitsFunctionalService"
OWN = f"/{SERVICE}/Classify"
BY_HEADER = (("argosy-model", LATE),)


@pytest.fixture(params=sorted(FRONTS))
def fleet(request: pytest.FixtureRequest, processes: Processes, tmp_path: Path) -> tuple[Server, Server]:
    """A vision service without the model, with reflection, and a router before it."""
    models = copy_models(tmp_path / "models", "digits")
    service = processes.service("vision", models, "--reflection", "--front", request.param)
    router = processes.router(tmp_path, {"vision": [service.address]}, reflection=True)
    wait_until_routed(router, [("digits", "1")])
    return service, router


def test_a_model_that_comes_later_has_its_service_at_once(fleet: tuple[Server, Server], tmp_path: Path) -> None:
    for server in fleet:
        error = refused(server.channel, OWN, t.classify(t.seven(), model=LATE), metadata=BY_HEADER)
        assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_MODEL")
        assert SERVICE not in services_of(server)
    load_late(fleet, tmp_path)
    for server in fleet:
        assert SERVICE in services_of(server)
        assert likeliest(server) == "DIGITS_FUNCTIONAL_CLASS_X_7"


def test_a_model_that_leaves_is_refused_as_by_the_typed_method(fleet: tuple[Server, Server], tmp_path: Path) -> None:
    load_late(fleet, tmp_path)
    service, router = fleet
    call(router.channel, UNLOAD, oip.RepositoryModelUnloadRequest(model_name=LATE))
    wait_until_ready(router.channel, lambda ready: (LATE, "1") not in ready)
    message = t.classify(t.seven(), model=LATE)
    refused_by_the_router(router, t.VISION_CLASSIFY, message, BY_HEADER)
    for server, reason in ((service, "MODEL_NOT_READY"), (router, "UNKNOWN_MODEL")):
        own = refused(server.channel, OWN, message, metadata=BY_HEADER)
        typed = refused(server.channel, t.VISION_CLASSIFY, message, metadata=BY_HEADER)
        assert own.reason == reason
        assert (own.code, own.reason, own.message) == (typed.code, typed.reason, typed.message)
        assert SERVICE not in services_of(server)


def load_late(fleet: tuple[Server, Server], folder: Path) -> None:
    copy_models(folder / "models", LATE)
    call(fleet[1].channel, LOAD, oip.RepositoryModelLoadRequest(model_name=LATE))
    wait_until_routed(fleet[1], [(LATE, "1")])


def services_of(server: Server) -> set[str]:
    return set(ProtoReflectionDescriptorDatabase(server.channel).get_services())


def likeliest(server: Server) -> str:
    """The class of a seven by a client that knows nothing but what reflection tells."""
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(server.channel))
    method = pool.FindServiceByName(SERVICE).methods_by_name["Classify"]
    request: Message = GetMessageClass(method.input_type)(model=LATE, images=[t.seven()])
    reply = GetMessageClass(method.output_type).FromString(call(server.channel, OWN, request, metadata=BY_HEADER))
    result = reply.results[0]
    enum = result.DESCRIPTOR.fields_by_name["likeliest"].enum_type
    return str(enum.values_by_number[result.likeliest].name)
