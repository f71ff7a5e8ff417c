"""Which queue answers for a model and a version, for the portable front.

Any thread writes, the event loop reads without waiting: a change is a new dictionary that takes the old one's place.
A queue is closed only after nobody can find it any more, so a request that finds it closed looks once more.
"""

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

from services.runtime.errors import Cause, ServingError, shown, unknown_model, unnamed_model
from services.runtime.portable_queue import PortableQueue

ModelVersion: TypeAlias = tuple[str, str]


class QueueTable:
    """The open queues, the default versions, and why other versions are not ready."""

    def __init__(self) -> None:
        self._writing = threading.Lock()
        self._queues: Mapping[ModelVersion, PortableQueue] = {}
        self._unready: Mapping[ModelVersion, ServingError] = {}
        self._defaults: Mapping[str, str] = {}

    def open(self, queue: PortableQueue) -> None:
        """Show `queue` in the place of the one of the same model-version, if any, which is closed."""
        key = queue.spec.model, queue.spec.version
        with self._writing:
            before = self._queues.get(key)
            self._queues = {**self._queues, key: queue}
        if before is not None:
            before.close()

    def close(self, model: str, version: str) -> None:
        with self._writing:
            queue = self._queues.get((model, version))
            self._queues = {key: other for key, other in self._queues.items() if other is not queue}
        if queue is not None:
            queue.close()

    def set_default_version(self, model: str, version: str | None) -> None:
        with self._writing:
            others = {name: default for name, default in self._defaults.items() if name != model}
            self._defaults = others if version is None else {**others, model: version}

    def set_unready(self, model: str, version: str, error: ServingError | None) -> None:
        with self._writing:
            others = {key: other for key, other in self._unready.items() if key != (model, version)}
            self._unready = others if error is None else {**others, (model, version): error}

    def queues(self) -> tuple[PortableQueue, ...]:
        return tuple(self._queues.values())

    def find(self, model: str, version: str) -> PortableQueue:
        """The queue for a version, '' for the default one. Raises ServingError that says why there is none."""
        if not model:
            raise unnamed_model()
        chosen = version or self._defaults.get(model, "")
        queue = self._queues.get((model, chosen))
        if queue is None:
            raise self._absence(model, chosen)
        return queue

    def _absence(self, model: str, chosen: str) -> ServingError:
        unready = {own: error for (name, own), error in self._unready.items() if name == model}
        if chosen in unready:
            return replace(unready[chosen])  # a copy: an error that is raised keeps the frames it came through
        versions = [*unready, *(own for name, own in self._queues if name == model)]
        if not versions:
            return unknown_model(model)
        if chosen:
            return unknown_model(model, chosen)
        if unready and len(unready) == len(versions):
            return replace(unready[versions[-1]])
        return ServingError(
            Cause.NOT_FOUND, "UNKNOWN_VERSION", f"model '{shown(model)}' has no default version: name one"
        )
