from google.protobuf.descriptor_pb2 import FileDescriptorSet

from argosy.v1 import text_pb2
from inference import grpc_service_pb2
from services.router.methods import FLEET_METHODS, descriptor_set, model_methods, own_method


def test_every_typed_and_oip_method_is_either_the_fleets_or_a_models() -> None:
    paths = model_methods().keys() | FLEET_METHODS
    for file in (text_pb2, grpc_service_pb2):
        for service in file.DESCRIPTOR.services_by_name.values():
            assert {f"/{service.full_name}/{method.name}" for method in service.methods} <= paths


def test_a_models_method_knows_where_its_message_names_the_model() -> None:
    for method in model_methods().values():
        assert method.model_field in {"model", "model_name", "name"}, method.path
        assert method.version_field in {"version", "model_version"}, method.path


def test_the_addressee_is_read_from_the_message() -> None:
    method = model_methods()["/inference.GRPCInferenceService/ModelInfer"]
    message = grpc_service_pb2.ModelInferRequest(model_name="small", model_version="2")
    assert method.addressee(message) == ("small", "2")


def test_the_descriptors_hold_every_file_after_those_that_it_imports() -> None:
    seen: set[str] = set()
    for file in FileDescriptorSet.FromString(descriptor_set()).file:
        assert set(file.dependency) <= seen
        seen.add(file.name)
    assert "inference/grpc_service.proto" in seen


def test_a_method_that_a_model_has_for_itself_names_its_model_as_all_do() -> None:
    method = own_method("/argosy.models.income.v1.IncomeService/Predict")
    assert method is not None
    message = method.request.FromString(b"\x0a\x06income\x12\x012\x1a\x03abc")  # field 3 is nothing to a router
    assert method.addressee(message) == ("income", "2")
    assert own_method("/argosy.v1.TabularService/Predict") is None
