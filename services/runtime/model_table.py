"""What is known of every model-version of a service, and what the front is told of it.

The table decides which version answers by default and why a model does not answer; it loads and closes nothing. Any
thread may ask; whoever changes a version does so one at a time (`repository.py`).
"""

import threading
from collections.abc import Callable, Sequence

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from argosy.v1.model_pb2 import ModelStatus
from services.runtime.entries import LOADING, READY, Entry, model_loading, model_not_ready
from services.runtime.errors import ServingError, unknown_model
from services.runtime.front import Front
from services.runtime.residency import Resident


class ModelTable:
    """Versions by model. `on_change` is called after every change, from the thread that made it."""

    def __init__(self, front: Front, on_change: Callable[[], None]) -> None:
        self._front = front
        self._on_change = on_change
        self._entries: dict[tuple[str, str], Entry] = {}
        self._defaults: dict[str, str] = {}
        self._lock = threading.Lock()

    def put(self, model: str, version: str, entry: Entry) -> None:
        """A version's new state. The first that is ready answers by default; where that one is so no more, the newest
        that is takes over.
        """
        if entry.state == READY:
            self._put_ready(model, version, entry)
        else:
            self._put_unready(model, version, entry)

    def make_default(self, model: str, version: str) -> None:
        with self._lock:
            self._defaults[model] = version
        self.tell_front(model)

    def forget_missing(self, model: str, on_disk: Sequence[str]) -> None:
        """What does not answer and is no longer on disk."""
        with self._lock:
            own = [(version, entry) for (name, version), entry in self._entries.items() if name == model]
        self._forget(model, [version for version, entry in own if entry.resident is None and version not in on_disk])

    def forget_loading(self, model: str) -> None:
        """What was to be loaded, and is not to be any more."""
        forgotten = self.loading_versions(model)
        self._forget(model, forgotten)
        if forgotten:
            self.tell_front(model)

    def tell_front(self, model: str) -> None:
        """Pass on which version answers by default and whether the model serves at all."""
        with self._lock:
            default = self._defaults.get(model)
            states = {entry.state for (name, _), entry in self._entries.items() if name == model}
        loading_or_not = model_loading(model) if LOADING in states else model_not_ready(model)
        # Of a model that nothing is known of the front itself says that there is none.
        self._set_default(model, default, loading_or_not if default is None and states else None)
        self._on_change()

    def entry(self, model: str, version: str) -> Entry | None:
        with self._lock:
            return self._entries.get((model, version))

    def knows(self, model: str) -> bool:
        with self._lock:
            return any(name == model for name, _ in self._entries)

    def resident(self, model: str, version: str = "") -> Resident:
        """A version that is ready; '' means the default. Raises NOT_FOUND or UNAVAILABLE as a request would get it."""
        with self._lock:
            entry = self._entries.get((model, version or self._defaults.get(model, "")))
            own = {v: e for (name, v), e in self._entries.items() if name == model}
        if entry is not None and entry.resident is not None:
            return entry.resident
        if any(e.state == LOADING for v, e in own.items() if version in ("", v)):
            raise model_loading(model)
        if own and not version:
            raise model_not_ready(model)
        raise unknown_model(model, version if own else "")

    def ready(self) -> list[tuple[str, str, Resident]]:
        """Every version that answers."""
        with self._lock:
            return [(*key, entry.resident) for key, entry in self._entries.items() if entry.resident is not None]

    def own_files(self) -> dict[str, FileDescriptorProto]:
        """Package -> the file of each model that answers and has a service for itself: its default version's."""
        with self._lock:
            files = [self._entries[key].own_file for key in self._defaults.items()]
        return {file.package: file for file in files if file is not None}

    def ready_versions(self, model: str) -> list[str]:
        """Newest first."""
        with self._lock:
            return self._ready_versions(model)

    def loading_versions(self, model: str) -> list[str]:
        with self._lock:
            return [version for (name, version), e in self._entries.items() if name == model and e.state == LOADING]

    def statuses(self) -> list[ModelStatus]:
        """Every version that was tried, by name and version."""
        with self._lock:
            entries = sorted(self._entries.items(), key=lambda item: (item[0][0], int(item[0][1] or 0)))
            defaults = dict(self._defaults)
        return [entry.status(model, version, defaults.get(model) == version) for (model, version), entry in entries]

    def _put_ready(self, model: str, version: str, entry: Entry) -> None:
        """The front answers before anybody can hear that it is ready: whoever does may ask at once."""
        with self._lock:
            default = self._defaults.get(model, version)
        self._front.set_unready(model, version, None)
        self._set_default(model, default, None)
        with self._lock:
            self._entries[model, version] = entry
            self._defaults[model] = default
        self._on_change()

    def _put_unready(self, model: str, version: str, entry: Entry) -> None:
        with self._lock:
            self._entries[model, version] = entry
            if self._defaults.get(model) == version:
                others = self._ready_versions(model)
                if others:
                    self._defaults[model] = others[0]
                else:
                    del self._defaults[model]
        self._front.set_unready(model, version, model_loading(model) if entry.state == LOADING else None)
        self.tell_front(model)

    def _set_default(self, model: str, default: str | None, unready: ServingError | None) -> None:
        self._front.set_unready(model, "", unready)
        self._front.set_default_version(model, default)
        self._front.set_serving(model, default is not None)

    def _forget(self, model: str, forgotten: Sequence[str]) -> None:
        for version in forgotten:
            with self._lock:
                del self._entries[model, version]
            self._front.set_unready(model, version, None)

    def _ready_versions(self, model: str) -> list[str]:
        ready = [version for (name, version), entry in self._entries.items() if name == model and entry.state == READY]
        return sorted(ready, key=int, reverse=True)
