"""What the repository knows of one model-version, and how that is told."""

import threading
from dataclasses import dataclass

from argosy.v1.manifest_pb2 import ModelManifest
from argosy.v1.model_pb2 import ModelState, ModelStatus
from services.runtime.errors import ServingError, unavailable
from services.runtime.version import LoadedVersion

READY, LOADING, UNLOADING = (
    ModelState.MODEL_STATE_READY,
    ModelState.MODEL_STATE_LOADING,
    ModelState.MODEL_STATE_UNLOADING,
)
REFUSED, UNLOADED = ModelState.MODEL_STATE_REFUSED, ModelState.MODEL_STATE_UNLOADED


@dataclass(frozen=True, slots=True)
class Entry:
    """One version: its state, why it is not ready, and while it is, what runs it."""

    state: "ModelState.ValueType"
    reason: str = ""
    manifest: ModelManifest | None = None
    loaded: LoadedVersion | None = None
    workers: tuple[threading.Thread, ...] = ()

    def status(self, model: str, version: str, is_default: bool) -> ModelStatus:
        """As callers and the router are told."""
        return ModelStatus(
            model=model,
            version=version,
            state=self.state,
            reason=self.reason,
            default_version=is_default,
            tasks=self.manifest.tasks if self.manifest is not None else (),
            execution_provider=self.loaded.session.provider if self.loaded is not None else "",
            ready_endpoint_count=int(self.state == READY),
        )


def model_not_ready(model: str) -> ServingError:
    """It is known, and no version of it answers."""
    return unavailable("MODEL_NOT_READY", f"model '{model}' has no version that is ready")


def model_loading(model: str) -> ServingError:
    """It will answer soon."""
    return unavailable("MODEL_LOADING", f"model '{model}' is loading")
