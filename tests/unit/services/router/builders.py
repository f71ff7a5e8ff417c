"""Inventories for tests, in one line each."""

from argosy.v1.model_pb2 import MODEL_STATE_READY, ModelState
from services.router.inventory import Endpoint, Inventory, Link, ModelVersion


def version(name: str, state: ModelState.ValueType = MODEL_STATE_READY) -> ModelVersion:
    """'small:2' is version 2 of small; 'small:2*' is its default version as well."""
    model, _, number = name.rstrip("*").partition(":")
    return ModelVersion(model, number, state, default=name.endswith("*"))


def endpoint(address: str, *models: str | ModelVersion, service: str = "text", link: Link = Link.UP) -> Endpoint:
    reported = tuple(version(model) if isinstance(model, str) else model for model in models)
    return Endpoint(service, address, link, reported, ("argosy.v1.TextService",))


def inventory(*endpoints: Endpoint) -> Inventory:
    made = Inventory()
    for one in endpoints:
        made = made.with_endpoint(one)
    return made
