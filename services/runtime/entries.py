"""What the repository knows of one model-version, and how that is told."""

import threading
from dataclasses import dataclass

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from argosy.v1.manifest_pb2 import ModelManifest
from argosy.v1.model_pb2 import ModelState, ModelStatus
from services.runtime.errors import ServingError, unavailable
from services.runtime.residency import Resident
from services.runtime.serving_config import ServingConfig

READY, LOADING, UNLOADING = (
    ModelState.MODEL_STATE_READY,
    ModelState.MODEL_STATE_LOADING,
    ModelState.MODEL_STATE_UNLOADING,
)
NOT_IN_MEMORY = "not in memory: the next request loads it"
REFUSED, UNLOADED = ModelState.MODEL_STATE_REFUSED, ModelState.MODEL_STATE_UNLOADED


@dataclass(frozen=True, slots=True)
class Entry:
    """One version: its state, why it is not ready, and while it is, what runs it."""

    state: "ModelState.ValueType"
    reason: str = ""
    manifest: ModelManifest | None = None
    resident: Resident | None = None
    config: ServingConfig | None = None
    provider: str = ""
    workers: tuple[threading.Thread, ...] = ()
    own_file: FileDescriptorProto | None = None  # of the service that the model has for itself

    def status(self, model: str, version: str, is_default: bool) -> ModelStatus:
        """As callers and the router are told."""
        return ModelStatus(
            model=model,
            version=version,
            state=self.state,
            reason=self._reason(),
            default_version=is_default,
            tasks=self.manifest.tasks if self.manifest is not None else (),
            execution_provider=self.provider,
            ready_endpoint_count=int(self.state == READY),
            stateful=self.manifest is not None and len(self.manifest.states) > 0,
        )

    def _reason(self) -> str:
        # Ready all the same: whoever is routed here is answered.
        return NOT_IN_MEMORY if self.resident is not None and self.resident.loaded is None else self.reason


def model_not_ready(model: str) -> ServingError:
    """It is known, and no version of it answers."""
    return unavailable("MODEL_NOT_READY", f"model '{model}' has no version that is ready")


def model_loading(model: str) -> ServingError:
    """It will answer soon."""
    return unavailable("MODEL_LOADING", f"model '{model}' is loading")
