from dataclasses import replace

from services.router.inventory import Endpoint, Link, version_order
from tests.unit.services.router.builders import endpoint, inventory, version


def test_an_endpoint_counts_only_while_it_is_up() -> None:
    here = inventory(
        endpoint("h:1", "small:1"),
        endpoint("h:2", "small:1", link=Link.DRAINING),
        endpoint("h:3", "small:1", link=Link.LOST),
    )
    assert here.ready_addresses() == {("small", "1"): ("h:1",)}


def test_a_version_counts_only_while_it_is_ready() -> None:
    here = inventory(endpoint("h:1", replace(version("small:1"), state=1)))
    assert here.ready_addresses() == {}


def test_the_default_version_is_that_of_most_endpoints() -> None:
    old, new = ("small:1*", "small:2"), ("small:1", "small:2*")
    here = inventory(endpoint("h:1", *old), endpoint("h:2", *old), endpoint("h:3", *new))
    assert here.default_versions() == {"small": "1"}


def test_of_equals_the_higher_version_is_the_default_one() -> None:
    here = inventory(endpoint("h:1", "small:9*"), endpoint("h:2", "small:10*"))
    assert here.default_versions() == {"small": "10"}


def test_a_default_version_that_is_not_ready_is_none() -> None:
    here = inventory(endpoint("h:1", replace(version("small:1*"), state=1)))
    assert here.default_versions() == {}


def test_versions_are_ordered_by_number() -> None:
    assert sorted(["10", "9", "beta", "1"], key=version_order) == ["beta", "1", "9", "10"]


def test_a_forgotten_endpoint_is_gone() -> None:
    here = inventory(endpoint("h:1", "small:1"), endpoint("h:2", "small:1")).without("text", "h:1")
    assert here.ready_addresses() == {("small", "1"): ("h:2",)}


def test_the_last_endpoint_of_a_service_is_remembered() -> None:
    here = inventory(endpoint("h:1", "small:1", link=Link.LOST)).without("text", "h:1")
    assert [reported.model for _, reported in here.reported("small")] == ["small"]


def test_a_service_that_never_reported_was_not_heard_from() -> None:
    here = inventory(endpoint("h:1", link=Link.LOST), Endpoint("vision", "h:2"))
    assert here.heard_from({"text": ()})
    assert not here.heard_from({"text": (), "vision": ()})
