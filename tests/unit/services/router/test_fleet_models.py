from dataclasses import replace

from argosy.v1.model_pb2 import MODEL_STATE_LOADING, MODEL_STATE_READY, MODEL_STATE_UNSPECIFIED
from services.router.inventory import Link
from services.router.model_service import fleet_models
from services.router.server_wide import fleet_is_ready
from tests.unit.services.router.builders import endpoint, inventory, version

LOADING = replace(version("small:1*"), state=MODEL_STATE_LOADING)


def test_a_version_is_ready_where_one_endpoint_has_it_ready() -> None:
    (status,) = fleet_models(inventory(endpoint("h:1", LOADING), endpoint("h:2", "small:1*")))
    assert (status.state, status.ready_endpoint_count, status.default_version) == (MODEL_STATE_READY, 1, True)


def test_what_only_lost_endpoints_had_has_no_state() -> None:
    (status,) = fleet_models(inventory(endpoint("h:1", "small:1*", link=Link.LOST)))
    assert (status.state, status.ready_endpoint_count) == (MODEL_STATE_UNSPECIFIED, 0)
    assert "lost" in status.reason


def test_models_are_in_order_of_name_and_version_number() -> None:
    models = fleet_models(inventory(endpoint("h:1", "small:10", "small:9", "large:1")))
    assert [(m.model, m.version) for m in models] == [("large", "1"), ("small", "9"), ("small", "10")]


def test_one_model_or_one_version_can_be_asked_for() -> None:
    here = inventory(endpoint("h:1", "small:1", "small:2", "large:1"))
    assert [m.version for m in fleet_models(here, "small")] == ["1", "2"]
    assert [m.model for m in fleet_models(here, "", "1")] == ["large", "small"]


def test_the_fleet_is_ready_when_every_service_is_up_and_a_model_is_ready() -> None:
    here = inventory(endpoint("h:1", "small:1"))
    assert fleet_is_ready(here, {"text": ()})
    assert not fleet_is_ready(here, {"text": (), "vision": ()})
    assert not fleet_is_ready(inventory(endpoint("h:1", LOADING)), {"text": ()})
