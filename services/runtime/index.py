"""The repository's index in the Open Inference Protocol, with Triton's words for a model's state.

A service tells of its own models, the router of the fleet's; what a state is called is the same.
"""

from collections.abc import Iterable

from argosy.v1.model_pb2 import ModelState, ModelStatus
from inference.grpc_service_pb2 import RepositoryIndexResponse

_READY = "READY"
# Of all others a caller is told UNAVAILABLE, with the reason.
_STATES = {
    ModelState.MODEL_STATE_READY: _READY,
    ModelState.MODEL_STATE_LOADING: "LOADING",
    ModelState.MODEL_STATE_UNLOADING: "UNLOADING",
}


def repository_index(statuses: Iterable[ModelStatus], *, ready_only: bool) -> RepositoryIndexResponse:
    """One row a model-version, in the order of `statuses`."""
    rows = map(_row, statuses)
    return RepositoryIndexResponse(models=[row for row in rows if row.state == _READY or not ready_only])


def _row(status: ModelStatus) -> RepositoryIndexResponse.ModelIndex:
    state = _STATES.get(status.state, "UNAVAILABLE")
    return RepositoryIndexResponse.ModelIndex(
        name=status.model, version=status.version, state=state, reason=status.reason
    )
