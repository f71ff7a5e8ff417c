"""Which versions are in memory, where they do not all fit: the least recently used leaves, its next batch loads it.

A version that has left stays ready, its queue open and its workers waiting: the batch that comes for it waits for the
load as it would for a slow run, and what arrives meanwhile waits in the bounded queue within its deadline. Loads are
made one at a time, so requests that come together cause one. A batch that runs keeps its version until it has run:
nothing that was accepted is dropped, and for so long the memory is above the budget.

A version is charged with what the process grew by as it was first loaded and warmed, which is more than its weights (an
image network's batches take twenty times as much), and with its files' bytes at least. Before its first load only the
files are known, so the first load of a large one may pass the budget until it is measured.
"""

import ctypes
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import structlog

from argosy.v1.manifest_pb2 import ModelManifest
from services.runtime.errors import ServingError, refused_load, unavailable, without_frames
from services.runtime.faults import foreseen
from services.runtime.front import MEBIBYTE
from services.runtime.sequences import Sequences
from services.runtime.stages import StageCounts
from services.runtime.version import LoadedVersion

_log = structlog.get_logger()

# What could not be brought back is not tried again for so long: each try makes room for it first, at others' cost.
_RETRY_S = 5.0


@dataclass(frozen=True, slots=True)
class Failure:
    """What a version did not come back for, and when, by the clock."""

    error: ServingError
    at_s: float


@dataclass(slots=True, eq=False)
class Resident:
    """A version that answers; `loaded` is None while it is not in memory. Its figures outlive its leaving."""

    manifest: ModelManifest
    load: Callable[[], LoadedVersion]
    size_bytes: int
    loaded: LoadedVersion | None = None
    last_use: int = 0
    stages: StageCounts = field(default_factory=StageCounts)
    sequences: Sequences | None = None  # their states outlive its leaving too
    removed: bool = False  # it does not answer any more
    failure: Failure | None = None  # of its coming back, the newest

    @property
    def name(self) -> str:
        return f"{self.manifest.name}/{self.manifest.version}"


class Residency:
    """Keeps what is in memory within `budget_bytes`; None: everything stays. Any thread may call.

    `held_bytes` says how much memory the process holds; `clock` counts seconds and never goes back.
    """

    def __init__(
        self, budget_bytes: int | None, held_bytes: Callable[[], int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._held_bytes, self._clock = held_bytes, clock
        self._budget_bytes = budget_bytes
        self._residents: list[Resident] = []
        self._uses = count(1)
        self._loading = threading.RLock()

    def add(self, manifest: ModelManifest, load: Callable[[], LoadedVersion]) -> Resident:
        """A version, loaded. Raises ServingError (REFUSED_LOAD) where it can never fit, and what `load` raises."""
        resident = Resident(manifest, load, sum(file.size_bytes for file in manifest.files))
        with self._loading:  # so that nobody else's load is measured with it
            self._check_size(resident)
            # Before the process is measured: what leaves would else be taken from what it grows by.
            self._make_room(resident.size_bytes, keep=resident)
            give_memory_back()
            before_bytes = self._held_bytes()
            self._bring_in(resident)
            resident.size_bytes = max(resident.size_bytes, self._held_bytes() - before_bytes)
            try:
                self._check_size(resident)
            except ServingError:
                self.remove(resident)
                raise
            self._make_room(0, keep=resident)
        return resident

    def use(self, resident: Resident) -> LoadedVersion:
        """The version, from memory or loaded now. Raises ServingError (UNAVAILABLE) where it cannot be loaded again."""
        loaded = resident.loaded or self._brought_back(resident)
        resident.last_use = next(self._uses)
        return loaded

    def remove(self, resident: Resident) -> None:
        """It does not answer any more; its memory goes back."""
        with self._loading:
            if resident in self._residents:
                self._residents.remove(resident)
            resident.loaded = None
            resident.removed = True
        give_memory_back()

    def _check_size(self, resident: Resident) -> None:
        if self._budget_bytes is not None and resident.size_bytes > self._budget_bytes:
            needed, budget = resident.size_bytes / MEBIBYTE, self._budget_bytes / MEBIBYTE
            raise refused_load("OVER_MEMORY_BUDGET", f"it needs {needed:.1f} MiB, memory_budget_mb is {budget:g}")

    def _brought_back(self, resident: Resident) -> LoadedVersion:
        with self._loading:
            if resident.loaded is not None:  # by who was here first
                return resident.loaded
            self._check_worth_trying(resident)
            try:
                with foreseen(f"{resident.name} could not be loaded again"):
                    return self._bring_in(resident)
            except ServingError as error:
                # What is wrong with the version is for whoever has it loaded, not for whoever asks it.
                told = unavailable("MODEL_NOT_IN_MEMORY", f"the model could not be loaded again: {error.message}")
                resident.failure = Failure(told, self._clock())
                raise without_frames(told) from None

    def _check_worth_trying(self, resident: Resident) -> None:
        if resident.removed:
            raise unavailable("MODEL_NOT_READY", f"{resident.name} has been unloaded")
        failure = resident.failure
        if failure is not None and self._clock() - failure.at_s < _RETRY_S:
            raise without_frames(failure.error)

    def _bring_in(self, resident: Resident) -> LoadedVersion:
        self._make_room(resident.size_bytes, keep=resident)
        loaded = resident.load()
        resident.sequences = resident.sequences or loaded.sequences
        loaded = replace(loaded, stages=resident.stages, sequences=resident.sequences)
        resident.loaded, resident.failure = loaded, None
        resident.last_use = next(self._uses)
        self._residents.append(resident)
        _log.info("in memory", version=resident.name, size_bytes=resident.size_bytes)
        return loaded

    def _make_room(self, size_bytes: int, keep: Resident) -> None:
        if self._budget_bytes is None:
            return
        leaving = False
        while sum(other.size_bytes for other in self._residents) + size_bytes > self._budget_bytes:
            oldest = min((other for other in self._residents if other is not keep), key=lambda other: other.last_use)
            self._residents.remove(oldest)
            oldest.loaded = None
            leaving = True
            _log.info("evicted", version=oldest.name, size_bytes=oldest.size_bytes)
        if leaving:
            give_memory_back()


def held_bytes() -> int:
    """Memory that this process holds, by the kernel; 0 where there is no /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def give_memory_back() -> None:
    """To the operating system: what was freed stays with the process otherwise. Without glibc nothing is done."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
