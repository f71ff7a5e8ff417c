from dataclasses import replace

import pytest

from argosy.v1.model_pb2 import MODEL_STATE_LOADING, MODEL_STATE_REFUSED, MODEL_STATE_UNLOADED
from services.router.inventory import Endpoint, Inventory, Link
from services.router.placement import place
from services.runtime.errors import Cause, ServingError
from tests.unit.services.router.builders import endpoint, inventory, version

SERVICES = {"text": ()}


def refused(here: Inventory, model: str, number: str = "") -> ServingError:
    with pytest.raises(ServingError) as caught:
        place(here, SERVICES, model, number)
    return caught.value


def test_a_ready_model_gets_its_default_version() -> None:
    assert place(inventory(endpoint("h:1", "small:1", "small:2*")), SERVICES, "small", "") == "2"


def test_a_version_that_is_named_is_taken() -> None:
    assert place(inventory(endpoint("h:1", "small:1", "small:2*")), SERVICES, "small", "1") == "1"


def test_no_name_is_invalid() -> None:
    assert refused(inventory(endpoint("h:1")), "").cause is Cause.INVALID_INPUT


def test_what_nobody_has_is_not_found_and_nothing_else_is_named() -> None:
    error = refused(inventory(endpoint("h:1", "small:1*")), "large")
    assert (error.cause, error.reason) == (Cause.NOT_FOUND, "UNKNOWN_MODEL")
    assert "small" not in error.message


def test_a_version_that_nobody_has_is_not_found() -> None:
    assert refused(inventory(endpoint("h:1", "small:1*")), "small", "2").reason == "UNKNOWN_VERSION"


@pytest.mark.parametrize("link", [Link.LOST, Link.DRAINING])
def test_a_model_whose_endpoints_are_gone_is_unavailable(link: Link) -> None:
    error = refused(inventory(endpoint("h:1", "small:1*", link=link)), "small")
    assert error.cause is Cause.UNAVAILABLE
    assert error.retry_after_s is not None


def test_a_model_that_is_loading_is_unavailable() -> None:
    loading = replace(version("small:1*"), state=MODEL_STATE_LOADING)
    assert refused(inventory(endpoint("h:1", loading)), "small").cause is Cause.UNAVAILABLE


@pytest.mark.parametrize("state", [MODEL_STATE_REFUSED, MODEL_STATE_UNLOADED])
def test_a_model_that_is_out_of_service_is_not_found(state: int) -> None:
    out = replace(version("small:1*"), state=state)
    assert refused(inventory(endpoint("h:1", out)), "small").cause is Cause.NOT_FOUND


def test_nothing_is_unknown_before_every_service_has_reported() -> None:
    here = inventory(Endpoint("text", "h:1"))
    assert refused(here, "large").reason == "FLEET_INCOMPLETE"
