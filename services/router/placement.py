"""Where a request belongs by the inventory, or why it belongs nowhere: the error table's rows on models, decided here.

Pure. Nothing that it says names a model but the one that was asked for.
"""

from collections.abc import Mapping

from argosy.v1.model_pb2 import MODEL_STATE_REFUSED, MODEL_STATE_UNLOADED
from services.router.inventory import Inventory
from services.runtime.errors import ServingError, invalid_input, unavailable, unknown_model

RETRY_AFTER_S = 1.0

_OUT_OF_SERVICE = frozenset((MODEL_STATE_REFUSED, MODEL_STATE_UNLOADED))


def place(inventory: Inventory, services: Mapping[str, object], model: str, version: str) -> str:
    """The ready version that a request for `model` and `version` ('': the default one) gets.

    Raises ServingError: INVALID_INPUT for no name, NOT_FOUND for a model-version that nobody has or that is out of
    service, UNAVAILABLE for one that has no ready endpoint now.
    """
    if not model:
        raise invalid_input("the request names no model", field="model", reason="NO_MODEL")
    chosen = version or inventory.default_versions().get(model, "")
    if (model, chosen) in inventory.ready_addresses():
        return chosen
    raise why_not(inventory, services, model, version)


def why_not(inventory: Inventory, services: Mapping[str, object], model: str, version: str) -> ServingError:
    """Why `model` in `version` has no ready endpoint."""
    states = [reported.state for _, reported in inventory.reported(model, version)]
    if any(state not in _OUT_OF_SERVICE for state in states):
        return unavailable("NO_READY_ENDPOINT", "no endpoint is ready for the model: try again", RETRY_AFTER_S)
    if not inventory.heard_from(services):
        return unavailable("FLEET_INCOMPLETE", "not every service has reported its models yet", RETRY_AFTER_S)
    if any(inventory.reported(model)):
        return unknown_model(model, version)
    return unknown_model(model)
