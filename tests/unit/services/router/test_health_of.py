from services.router.health import health_of
from services.router.inventory import Inventory, Link
from tests.unit.services.router.builders import endpoint, inventory


def test_without_models_the_router_still_answers_what_it_knows_by_itself() -> None:
    names = health_of(Inventory(), serving=True)
    assert {name for name, healthy in names.items() if healthy} == {"argosy.v1.ModelService"}


def test_a_ready_model_makes_the_fleet_its_service_and_itself_healthy() -> None:
    names = health_of(inventory(endpoint("h:1", "small:1")), serving=True)
    assert (names[""], names["argosy.v1.TextService"], names["small"]) == (True, True, True)
    assert not names["argosy.v1.VisionService"]


def test_a_router_that_does_not_serve_says_so_of_everything() -> None:
    assert not any(health_of(inventory(endpoint("h:1", "small:1")), serving=False).values())


def test_a_lost_model_is_still_known() -> None:
    names = health_of(inventory(endpoint("h:1", "small:1", link=Link.LOST)), serving=True)
    assert names["small"] is False
    assert "large" not in names
