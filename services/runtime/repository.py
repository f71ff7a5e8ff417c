"""The models of one service: which versions there are, in what state, and how one is put in place of another.

A version that must not be served is refused with a reason, and whatever served before goes on. A new version takes over
only once it is loaded and warm; then the old one is closed and finishes what it had accepted. One change at a time.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import structlog
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from argosy.v1.manifest_pb2 import ModelManifest, Task
from argosy.v1.model_pb2 import ModelStatus
from services.runtime.devices import Execution
from services.runtime.disk import versions
from services.runtime.entries import LOADING, REFUSED, UNLOADED, UNLOADING, Entry
from services.runtime.errors import Cause, ServingError, unknown_model
from services.runtime.faults import foreseen
from services.runtime.front import Front
from services.runtime.loader import Loader
from services.runtime.model_table import ModelTable
from services.runtime.own_models import OwnModels
from services.runtime.residency import Residency, held_bytes
from services.runtime.serving_config import ServingConfig, read_serving_config
from services.runtime.stages import StageStats
from services.runtime.trusted_keys import TrustedKeys
from services.runtime.typed_method import TaskCode
from services.runtime.version import LoadedVersion
from services.runtime.workers import OnFault

_log = structlog.get_logger()


class ModelRepository:
    """Loads, unloads and tells of the models below `models_dir` that have one of `tasks`.

    `only` names the models to serve; empty: all. With `trusted`, only what one of these keys signed is loaded. A
    version that another has taken over from goes on for `hand_over_s`. What does not fit into `memory_budget_bytes`
    leaves memory and comes back when it is asked; `held` says how many bytes the process holds, `clock` when one
    that did not come back is tried again.
    `on_change` is called after every change of state, `on_fault` when a device is lost, from any thread.
    """

    def __init__(
        self,
        models_dir: Path,
        *,
        tasks: Iterable["Task.ValueType"],
        task_code: TaskCode,
        front: Front,
        executions: Callable[[str, ServingConfig], Sequence[Execution]],
        only: Iterable[str] = (),
        trusted: TrustedKeys | None = None,
        memory_budget_bytes: int | None = None,
        held: Callable[[], int] = held_bytes,
        clock: Callable[[], float] = time.monotonic,
        hand_over_s: float = 0.0,
        on_change: Callable[[], None] = lambda: None,
        on_fault: OnFault = lambda _: None,
    ) -> None:
        self._dir = models_dir
        self._own = OwnModels(models_dir, frozenset(tasks), frozenset(only))
        self._front = front
        self._hand_over_s = hand_over_s
        self._residency = Residency(memory_budget_bytes, held, clock)
        self._loader = Loader(models_dir, task_code, front, executions, trusted, self._residency, on_fault)
        self._table = ModelTable(front, on_change)
        self._unloaded: set[str] = set()  # by a caller, and not loaded by one since
        self._changing = threading.Lock()

    def announce(self) -> None:
        """Tell of every model that `load_all` is to load: a request for one of them is too early, not wrong."""
        for model in self._own.names():
            with suppress(ServingError):  # which `load_all` tells of
                for version in self._own.wanted(model)[:1]:
                    self._table.put(model, version, Entry(LOADING, "waiting to be loaded"))

    def load_all(self) -> None:
        """Load every model that is this service's, but what a caller has unloaded by then; what is refused is told of
        and does not stop the others. Raises ServingError (INTERNAL) for what nobody foresaw, where nothing is ready.
        """
        announced = {status.model for status in self.statuses()}  # of which one may have gone
        unforeseen: ServingError | None = None
        for model in sorted({*self._own.names(), *announced}):
            try:
                with self._changing:
                    if model not in self._unloaded:
                        self._load(model)
            except ServingError as error:
                if error.cause is Cause.INTERNAL:
                    unforeseen = error
                _log.error("model refused", model=model, reason=error.reason, detail=error.message)
        if unforeseen is not None and not self._table.ready():
            raise unforeseen

    def load(self, model: str) -> None:
        """Bring a model to what disk and operator say now. Raises ServingError: NOT_FOUND where there is no such model
        here, REFUSED_LOAD where a version that is wanted must not be served, INTERNAL where its load fails as nobody
        foresaw; what was ready before stays ready.
        """
        with self._changing:
            self._unloaded.discard(model)
            self._load(model)

    def unload(self, model: str) -> None:
        """Take every version of a model out of service; what it has accepted is still answered. Raises NOT_FOUND."""
        with self._changing:
            if not self._table.knows(model):
                raise unknown_model(model)
            self._unloaded.add(model)
            for version in (*self._table.ready_versions(model), *self._table.loading_versions(model)):
                self._close(model, version)
            self._table.tell_front(model)

    def statuses(self) -> list[ModelStatus]:
        """Every version that was tried, by name and version."""
        return self._table.statuses()

    def loaded(self, model: str, version: str = "") -> LoadedVersion:
        """A version that is ready, brought back where it is not in memory; '' means the default. Raises NOT_FOUND or
        UNAVAILABLE as a request would get it.
        """
        return self._residency.use(self._table.resident(model, version))

    def manifest(self, model: str, version: str = "") -> ModelManifest:
        """Of a version that is ready, without bringing it back. Raises as `loaded` does."""
        return self._table.resident(model, version).manifest

    def sequences(self) -> dict[tuple[str, str], int]:
        """(model, version) -> the sequences that it keeps, of those that are ready and keep states."""
        kept = [(model, version, resident.sequences) for model, version, resident in self._table.ready()]
        return {(model, version): sequences.count() for model, version, sequences in kept if sequences is not None}

    def stages(self) -> list[StageStats]:
        """Where the batches of every version that is ready have spent their time."""
        return [resident.stages.read(model, version) for model, version, resident in self._table.ready()]

    def memory(self) -> list[tuple[str, str, int]]:
        """(model, version, bytes) of every version that is ready: what it is charged with, 0 while not in memory."""
        ready = self._table.ready()
        return [(model, version, r.size_bytes if r.loaded is not None else 0) for model, version, r in ready]

    def own_files(self) -> dict[str, FileDescriptorProto]:
        """Package -> the file of each model that is ready and has a service for itself."""
        return self._table.own_files()

    def ready_versions(self, model: str) -> list[str]:
        """Newest first."""
        return self._table.ready_versions(model)

    def _load(self, model: str) -> None:
        """Whatever comes of it, nothing is left that is only said to be loading."""
        try:
            refusal = self._load_wanted(model, *self._wanted(model))
            if refusal is not None:
                raise refusal
        finally:
            self._table.forget_loading(model)

    def _wanted(self, model: str) -> tuple[list[str], ServingConfig]:
        """The versions to try, and what the operator says of them. Where that is wrong, so is the first version, unless
        the model serves already; '' is the version of a folder that cannot be read.
        """
        wanted = [""]
        try:
            wanted = self._own.wanted(model)
            if wanted:
                self._table.forget_missing(model, versions(self._dir, model))
                return wanted, read_serving_config(self._dir, model)
        except ServingError as error:
            if not self._table.ready_versions(model):
                self._table.put(model, wanted[0], Entry(REFUSED, error.message))
            raise
        with suppress(ServingError):  # of a folder that is there and cannot be read
            self._table.forget_missing(model, versions(self._dir, model))
            self._table.tell_front(model)
        raise unknown_model(model)

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
                if version in self._table.ready_versions(model):
                    ready.append(version)  # as it was before
            if ready and not config.versions:
                break  # the newest that loads is enough
        if ready:
            self._table.make_default(model, ready[0])
            self._close_others(model, ready)
        self._table.tell_front(model)
        return refusal

    def _close_others(self, model: str, ready: list[str]) -> None:
        """Once those who were told of the new version, such as a router, can have turned to it."""
        others = [version for version in self._table.ready_versions(model) if version not in ready]
        if others:
            threading.Event().wait(self._hand_over_s)
        for version in others:
            self._close(model, version)

    def _load_version(self, model: str, version: str, config: ServingConfig) -> None:
        before = self._table.entry(model, version)
        serving = before is not None and before.resident is not None
        if before is not None and serving and before.config == config:
            return
        if not serving:
            self._table.put(model, version, Entry(LOADING))
        try:
            with foreseen(f"{model}/{version} failed to load"):
                entry = self._loader.started(model, version, config)
        except ServingError as error:
            _log.warning("version refused", model=model, version=version, reason=error.reason, detail=error.message)
            if not serving:
                self._table.put(model, version, Entry(REFUSED, error.message))
            raise
        self._table.put(model, version, entry)
        _log.info("version ready", model=model, version=version, provider=entry.provider)
        if before is not None and serving:
            self._release(before)

    def _close(self, model: str, version: str) -> None:
        entry = self._table.entry(model, version)
        if entry is None:
            return
        self._table.put(model, version, Entry(UNLOADING, "", entry.manifest))
        self._front.close_queue(model, version)
        self._release(entry)
        self._table.put(model, version, Entry(UNLOADED, "unloaded", entry.manifest))
        _log.info("version unloaded", model=model, version=version)

    def _release(self, entry: Entry) -> None:
        """Once its workers have answered what its queue, which is closed, had accepted."""
        for worker in entry.workers:
            worker.join()
        if entry.resident is not None:
            self._residency.remove(entry.resident)
