"""argosy.v1.ModelService: which models a service has, what state they are in, and their manifests."""

from collections.abc import Callable, Mapping, Sequence

from argosy.v1 import model_pb2 as pb
from services.runtime.errors import unnamed_model
from services.runtime.front import UnaryAnswer
from services.runtime.messages import parse
from services.runtime.repository import ModelRepository

MODEL_SERVICE = "argosy.v1.ModelService"
WATCH_MODELS = f"/{MODEL_SERVICE}/WatchModels"


class ModelAnswers:
    """The answers of one service that answers the methods of `services` with the front of that name."""

    def __init__(
        self,
        repository: ModelRepository,
        services: Callable[[], Sequence[str]],
        front: str,
        draining: Callable[[], bool],
    ) -> None:
        self._repository = repository
        self._services = services
        self._front = front
        self._draining = draining

    def answers(self) -> Mapping[str, UnaryAnswer]:
        """Full method name -> what answers it; WatchModels apart, which is a stream of `watch`."""
        return {f"/{MODEL_SERVICE}/ListModels": self._list, f"/{MODEL_SERVICE}/GetModel": self._get}

    def watch(self, message: bytes) -> bytes:
        """The state now, as one answer of WatchModels."""
        request = parse(pb.WatchModelsRequest, message)
        response = pb.WatchModelsResponse(
            models=self._chosen(request.model, request.version), draining=self._draining(), services=self._services()
        )
        return response.SerializeToString()

    def _list(self, message: bytes) -> bytes:
        request = parse(pb.ListModelsRequest, message)
        models = self._chosen(request.model, request.version)
        return pb.ListModelsResponse(models=models, front=self._front).SerializeToString()

    def _get(self, message: bytes) -> bytes:
        request = parse(pb.GetModelRequest, message)
        if not request.model:
            raise unnamed_model()
        manifest = self._repository.manifest(request.model, request.version)
        status = self._chosen(manifest.name, manifest.version)
        return pb.GetModelResponse(manifest=manifest, status=status[0] if status else None).SerializeToString()

    def _chosen(self, model: str, version: str) -> list[pb.ModelStatus]:
        return [
            status
            for status in self._repository.statuses()
            if model in ("", status.model) and version in ("", status.version)
        ]
