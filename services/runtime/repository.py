"""The models of one service: which versions there are, in what state, and how one is put in place of another.

A version that must not be served is refused with a reason, and whatever served before goes on. A new version takes over
only once it is loaded and warm; then the old one is closed and finishes what it had accepted. One change at a time.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from argosy.v1.manifest_pb2 import ModelManifest, Task
from argosy.v1.model_pb2 import ModelState, ModelStatus
from services.runtime.disk import model_names, read_manifest, versions
from services.runtime.errors import ServingError, refused_load, unavailable, unknown_model
from services.runtime.front import Front, QueuePolicy, QueueSpec
from services.runtime.instance import start_instances
from services.runtime.serving_config import ServingConfig, read_serving_config
from services.runtime.session import Execution
from services.runtime.typed_method import TypedMethods
from services.runtime.version import LoadedVersion, load_version

_log = structlog.get_logger()

READY, LOADING, UNLOADING = (
    ModelState.MODEL_STATE_READY,
    ModelState.MODEL_STATE_LOADING,
    ModelState.MODEL_STATE_UNLOADING,
)
REFUSED, UNLOADED = ModelState.MODEL_STATE_REFUSED, ModelState.MODEL_STATE_UNLOADED


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one version."""

    state: "ModelState.ValueType"
    reason: str = ""
    manifest: ModelManifest | None = None
    loaded: LoadedVersion | None = None
    workers: tuple[threading.Thread, ...] = ()


class ModelRepository:
    """Loads, unloads and tells of the models below `models_dir` that have one of `tasks`.

    `only` names the models to serve; empty: all. `on_change` is called after every change of state, from any thread.
    """

    def __init__(
        self,
        models_dir: Path,
        *,
        tasks: Iterable["Task.ValueType"],
        typed_methods: TypedMethods,
        front: Front,
        execution: Callable[[ServingConfig], Execution],
        only: Iterable[str] = (),
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._dir = models_dir
        self._tasks = frozenset(tasks)
        self._typed_methods = typed_methods
        self._front = front
        self._execution = execution
        self._only = frozenset(only)
        self._on_change = on_change
        self._entries: dict[tuple[str, str], Entry] = {}
        self._defaults: dict[str, str] = {}
        self._table = threading.Lock()
        self._changing = threading.Lock()

    def load_all(self) -> None:
        """Load every model that is this service's; what is refused is told of and does not stop the others."""
        for model in self._own_models():
            for version in self._wanted(model)[:1]:
                self._put(model, version, Entry(LOADING, "waiting to be loaded"))
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
        return [_status(model, version, entry, defaults.get(model) == version) for (model, version), entry in entries]

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
            raise _loading(model)
        if known and not version:
            raise _not_ready(model)
        raise unknown_model(model, version if known else "")

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
            for version in self._ready_versions(model):
                if version not in ready:
                    self._close(model, version)
        self._tell_front(model)
        return refusal

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
        manifest = read_manifest(self._dir, model, version)
        folder = self._dir / model / version
        return load_version(folder, manifest, config, self._execution(config), self._typed_methods)

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
        self._front.set_unready(model, version, _loading(model) if entry.state == LOADING else None)
        self._tell_front(model)

    def _tell_front(self, model: str) -> None:
        """Pass on which version answers by default and whether the model serves at all."""
        with self._table:
            default = self._defaults.get(model)
            loading = any(entry.state == LOADING for (name, _), entry in self._entries.items() if name == model)
        unready = None if default is not None else _loading(model) if loading else _not_ready(model)
        self._front.set_unready(model, "", unready)
        self._front.set_default_version(model, default)
        self._front.set_serving(model, default is not None)
        self._on_change()

    def _ready_versions(self, model: str) -> list[str]:
        ready = [version for (name, version), entry in self._entries.items() if name == model and entry.state == READY]
        return sorted(ready, key=int, reverse=True)


def _queue_spec(loaded: LoadedVersion) -> QueueSpec:
    config, manifest = loaded.config, loaded.manifest
    policy = QueuePolicy(config.max_batch_rows, config.capacity_rows, config.max_wait_us, config.instances)
    routes = tuple(method.route for method in loaded.methods)
    return QueueSpec(manifest.name, manifest.version, routes, loaded.signature, policy, loaded.device)


def _status(model: str, version: str, entry: Entry, is_default: bool) -> ModelStatus:
    return ModelStatus(
        model=model,
        version=version,
        state=entry.state,
        reason=entry.reason,
        default_version=is_default,
        tasks=entry.manifest.tasks if entry.manifest is not None else (),
        execution_provider=entry.loaded.session.provider if entry.loaded is not None else "",
        ready_endpoint_count=int(entry.state == READY),
    )


def _not_ready(model: str) -> ServingError:
    return unavailable("MODEL_NOT_READY", f"model '{model}' has no version that is ready")


def _loading(model: str) -> ServingError:
    return unavailable("MODEL_LOADING", f"model '{model}' is loading")
