"""What a service says of its models in argosy.v1.ModelService."""

from collections.abc import Callable

import pytest

from argosy.v1 import model_pb2 as pb
from services.runtime.errors import Cause, ServingError
from services.runtime.front import UnaryAnswer
from services.runtime.model_service import ModelAnswers
from tests.unit.services.runtime.served import Served
from tests.unit.services.runtime.tiny import write_version


@pytest.fixture
def get_model(serve: Callable[..., Served]) -> UnaryAnswer:
    served = serve()
    write_version(served.models)
    served.repository.load_all()
    answers = ModelAnswers(served.repository, services=list, front="portable", draining=lambda: False).answers()
    return answers["/argosy.v1.ModelService/GetModel"]


def test_a_model_is_told_with_its_state(get_model: UnaryAnswer) -> None:
    found = pb.GetModelResponse.FromString(get_model(pb.GetModelRequest(model="tiny").SerializeToString()))
    assert (found.manifest.name, found.status.state) == ("tiny", pb.MODEL_STATE_READY)


def test_a_model_without_a_name_is_no_unknown_one(get_model: UnaryAnswer) -> None:
    with pytest.raises(ServingError, match="model: a model's name is needed, got none") as caught:
        get_model(pb.GetModelRequest().SerializeToString())
    assert (caught.value.cause, caught.value.field) == (Cause.INVALID_INPUT, "model")
