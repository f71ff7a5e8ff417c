"""The models of one service: which versions there are, in what state, and how one is put in place of another.

A version that must not be served is refused with a reason, and whatever served before goes on. A new version takes over
only once it is loaded and warm; then the old one is closed and finishes what it had accepted. One change at a time.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import structlog

from argosy.v1.manifest_pb2 import Task
from argosy.v1.model_pb2 import ModelStatus
from services.runtime.disk import model_names, read_manifest, versions
from services.runtime.entries import (
    LOADING,
    READY,
    REFUSED,
    UNLOADED,
    UNLOADING,
    Entry,
    model_loading,
    model_not_ready,
)
from services.runtime.errors import ServingError, refused_load, unknown_model
from services.runtime.front import Front, QueuePolicy, QueueSpec
from services.runtime.instance import start_instances
from services.runtime.serving_config import ServingConfig, read_serving_config
from services.runtime.session import Execution
from services.runtime.stages import StageStats
from services.runtime.trusted_keys import TrustedKeys
from services.runtime.typed_method import TaskCode
from services.runtime.version import LoadedVersion, load_version

_log = structlog.get_logger()


class ModelRepository:
    """Loads, unloads and tells of the models below `models_dir` that have one of `tasks`.

    `only` names the models to serve; empty: all. With `trusted`, only what one of these keys signed is loaded. A
    version that another has taken over from goes on for `hand_over_s`.
    `on_change` is called after every change of state, from any thread.
    """

    def __init__(
        self,
        models_dir: Path,
        *,
        tasks: Iterable["Task.ValueType"],
        task_code: TaskCode,
        front: Front,
        execution: Callable[[ServingConfig], Execution],
        only: Iterable[str] = (),
        trusted: TrustedKeys | None = None,
        hand_over_s: float = 0.0,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._dir = models_dir
        self._tasks = frozenset(tasks)
        self._task_code = task_code
        self._front = front
        self._execution = execution
        self._only = frozenset(only)
        self._trusted = trusted
        self._hand_over_s = hand_over_s
        self._on_change = on_change
        self._entries: dict[tuple[str, str], Entry] = {}
        self._defaults: dict[str, str] = {}
        self._table = threading.Lock()
        self._changing = threading.Lock()

    def announce(self) -> None:
        """Tell of every model that `load_all` is to load: a request for one of them is too early, not wrong."""
        for model in self._own_models():
            for version in self._wanted(model)[:1]:
                self._put(model, version, Entry(LOADING, "waiting to be loaded"))

    def load_all(self) -> None:
        """Load every model that is this service's; what is refused is told of and does not stop the others."""
        for model in self._own_models():
            try:
                self.load(model)
            except ServingError as error:
                _log.error("model refused", model=model, reason=error.reason, detail=error.message)

    def load(self, model: str) -> None:
        """Bring a model to what disk and operator say now. Raises ServingError: NOT_FOUND where there is no such model
        here, REFUSED_LOAD where a version that is wanted must not be served; what was ready before stays ready.
        """
        with self._changing:
            wanted = self._wanted(model)
            if not wanted or not (self._only <= {model} or model in self._only):
                raise unknown_model(model)
            self._forget_missing(model)
            config = read_serving_config(self._dir, model)
            refusal = self._load_wanted(model, wanted, config)
            if refusal is not None:
                raise refusal

    def unload(self, model: str) -> None:
        """Take every version of a model out of service; what it has accepted is still answered. Raises NOT_FOUND."""
        with self._changing:
            if not any(name == model for name, _ in self._entries):
                raise unknown_model(model)
            for version in self._ready_versions(model):
                self._close(model, version)
            self._tell_front(model)

    def statuses(self) -> list[ModelStatus]:
        """Every version that was tried, by name and version."""
        with self._table:
            entries = sorted(self._entries.items(), key=lambda item: (item[0][0], int(item[0][1])))
            defaults = dict(self._defaults)
        return [entry.status(model, version, defaults.get(model) == version) for (model, version), entry in entries]

    def loaded(self, model: str, version: str = "") -> LoadedVersion:
        """A version that is ready; '' means the default. Raises NOT_FOUND or UNAVAILABLE as a request would get it."""
        with self._table:
            entry = self._entries.get((model, version or self._defaults.get(model, "")))
            known = any(name == model for name, _ in self._entries)
            loading = any(
                e.state == LOADING for (name, v), e in self._entries.items() if name == model and version in ("", v)
            )
        if entry is not None and entry.loaded is not None:
            return entry.loaded
        if loading:
            raise model_loading(model)
        if known and not version:
            raise model_not_ready(model)
        raise unknown_model(model, version if known else "")

    def stages(self) -> list[StageStats]:
        """Where the batches of every version that is ready have spent their time."""
        with self._table:
            ready = [(key, entry.loaded) for key, entry in self._entries.items() if entry.loaded is not None]
        return [loaded.stages.read(model, version) for (model, version), loaded in ready]

    def ready_versions(self, model: str) -> list[str]:
        """Newest first."""
        with self._table:
            return self._ready_versions(model)

    def _own_models(self) -> list[str]:
        names = [name for name in model_names(self._dir) if not self._only or name in self._only]
        return [name for name in names if self._is_own(name)]

    def _is_own(self, model: str) -> bool:
        """Whether a version of it has one of the service's tasks. One that cannot be read is nobody's, unless named."""
        for version in versions(self._dir, model):
            try:
                return bool(self._tasks & set(read_manifest(self._dir, model, version).tasks))
            except ServingError:
                continue
        return model in self._only

    def _wanted(self, model: str) -> list[str]:
        """The versions to try, in order: the operator's, or from the newest down."""
        if not self._is_own(model):
            return []
        try:
            chosen = read_serving_config(self._dir, model).versions
        except ServingError:
            return versions(self._dir, model)
        return list(chosen) or versions(self._dir, model)

    def _load_wanted(self, model: str, wanted: list[str], config: ServingConfig) -> ServingError | None:
        """Load what is wanted and close what is not. The refusal, if any, of a version that should have been ready."""
        refusal: ServingError | None = None
        ready: list[str] = []
        for version in wanted:
            try:
                self._load_version(model, version, config)
                ready.append(version)
            except ServingError as error:
                refusal = refusal or error
            if ready and not config.versions:
                break  # the newest that loads is enough
        if ready:
            with self._table:
                self._defaults[model] = ready[0]
            self._tell_front(model)
            self._close_others(model, ready)
        self._tell_front(model)
        return refusal

    def _close_others(self, model: str, ready: list[str]) -> None:
        """Once those who were told of the new version, such as a router, can have turned to it."""
        others = [version for version in self._ready_versions(model) if version not in ready]
        if others:
            threading.Event().wait(self._hand_over_s)
        for version in others:
            self._close(model, version)

    def _forget_missing(self, model: str) -> None:
        """What was refused or unloaded and is no longer on disk."""
        on_disk = versions(self._dir, model)
        with self._table:
            for key in [key for key in self._entries if key[0] == model and key[1] not in on_disk]:
                if self._entries[key].loaded is None:
                    del self._entries[key]

    def _load_version(self, model: str, version: str, config: ServingConfig) -> None:
        before = self._entries.get((model, version))
        if (
            before is not None
            and before.state == READY
            and before.loaded is not None
            and before.loaded.config == config
        ):
            return
        if before is None or before.loaded is None:
            self._put(model, version, Entry(LOADING))
        try:
            loaded = self._read_and_load(model, version, config)
        except ServingError as error:
            _log.warning("version refused", model=model, version=version, reason=error.reason, detail=error.message)
            if before is None or before.loaded is None:
                self._put(model, version, Entry(REFUSED, error.message))
            raise
        queue = self._front.open_queue(_queue_spec(loaded))
        workers = tuple(start_instances(queue, loaded))
        self._put(model, version, Entry(READY, "", loaded.manifest, loaded, workers))
        _log.info("version ready", model=model, version=version, provider=loaded.session.provider)

    def _read_and_load(self, model: str, version: str, config: ServingConfig) -> LoadedVersion:
        if version not in versions(self._dir, model):
            raise refused_load("VERSION_MISSING", f"version {version}: there is no such folder")
        manifest = read_manifest(self._dir, model, version, self._trusted)
        folder = self._dir / model / version
        return load_version(folder, manifest, config, self._execution(config), self._task_code)

    def _close(self, model: str, version: str) -> None:
        entry = self._entries[model, version]
        self._put(model, version, replace(entry, state=UNLOADING, loaded=None))
        self._front.close_queue(model, version)
        for worker in entry.workers:
            worker.join()
        self._put(model, version, Entry(UNLOADED, "unloaded", entry.manifest))
        _log.info("version unloaded", model=model, version=version)

    def _put(self, model: str, version: str, entry: Entry) -> None:
        with self._table:
            self._entries[model, version] = entry
            if entry.state != READY and self._defaults.get(model) == version:
                others = self._ready_versions(model)
                if others:
                    self._defaults[model] = others[0]
                else:
                    del self._defaults[model]
        self._front.set_unready(model, version, model_loading(model) if entry.state == LOADING else None)
        self._tell_front(model)

    def _tell_front(self, model: str) -> None:
        """Pass on which version answers by default and whether the model serves at all."""
        with self._table:
            default = self._defaults.get(model)
            loading = any(entry.state == LOADING for (name, _), entry in self._entries.items() if name == model)
        unready = None if default is not None else model_loading(model) if loading else model_not_ready(model)
        self._front.set_unready(model, "", unready)
        self._front.set_default_version(model, default)
        self._front.set_serving(model, default is not None)
        self._on_change()

    def _ready_versions(self, model: str) -> list[str]:
        ready = [version for (name, version), entry in self._entries.items() if name == model and entry.state == READY]
        return sorted(ready, key=int, reverse=True)


def _queue_spec(loaded: LoadedVersion) -> QueueSpec:
    config, manifest = loaded.config, loaded.manifest
    policy = QueuePolicy(
        max_batch_rows=config.max_batch_rows,
        capacity_rows=config.capacity_rows,
        max_wait_us=config.max_wait_us,
        instances=config.instances,
        max_request_rows=config.max_request_rows,
        priority_levels=config.priority_levels,
        default_priority_level=config.default_priority_level,
    )
    routes = tuple(method.route for method in loaded.methods)
    return QueueSpec(manifest.name, manifest.version, routes, loaded.signature, policy, loaded.device)
