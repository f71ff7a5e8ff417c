"""Which models of a folder are one service's, and which of their versions the operator wants.

A model belongs to the service that has one of its tasks. One whose manifests cannot be read is nobody's, unless it is
named: then whoever named it is told what is wrong.
"""

from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from argosy.v1.manifest_pb2 import Task
from services.runtime.disk import model_names, read_manifest, versions
from services.runtime.errors import ServingError
from services.runtime.serving_config import read_serving_config


@dataclass(frozen=True, slots=True)
class OwnModels:
    """Of the models below `models_dir` those with one of `tasks`; `only` names the ones to serve, empty: all."""

    models_dir: Path
    tasks: AbstractSet["Task.ValueType"]
    only: AbstractSet[str]

    def names(self) -> list[str]:
        """Every model that is to be served."""
        return [name for name in model_names(self.models_dir) if self._is_own(name)]

    def wanted(self, model: str) -> list[str]:
        """The versions to try, in order: the operator's, or from the newest down; none of what is not to be served.
        Raises ServingError (REFUSED_LOAD) where the model's folder cannot be read.
        """
        if not self._is_own(model):
            return []
        try:
            chosen = read_serving_config(self.models_dir, model).versions
        except ServingError:
            chosen = ()
        return list(chosen) or versions(self.models_dir, model)

    def _is_own(self, model: str) -> bool:
        if self.only and model not in self.only:
            return False
        with suppress(ServingError):
            for version in versions(self.models_dir, model):
                with suppress(ServingError):
                    return bool(self.tasks & set(read_manifest(self.models_dir, model, version).tasks))
        return model in self.only
