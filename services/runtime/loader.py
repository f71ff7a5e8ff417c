"""One version of a model, from its folder to workers that wait for its requests.

Which versions are wanted, and what becomes of one that is refused, is the repository's business.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from argosy.v1.manifest_pb2 import ModelManifest
from services.runtime.batch_size import batch_rows
from services.runtime.devices import Execution
from services.runtime.disk import read_manifest, versions
from services.runtime.entries import READY, Entry
from services.runtime.errors import DeviceFaultError, device_lost, refused_load
from services.runtime.front import Front
from services.runtime.own_method import own_file
from services.runtime.residency import Residency
from services.runtime.serving_config import ServingConfig
from services.runtime.trusted_keys import TrustedKeys
from services.runtime.typed_method import TaskCode
from services.runtime.version import LoadedVersion, load_version, queue_spec
from services.runtime.workers import OnFault, start_instances


@dataclass(frozen=True, slots=True)
class Loader:
    """Loads versions below `models_dir`; with `trusted`, only what one of these keys signed. `residency` brings back
    what has left memory. `on_fault` is called when a device is lost, from any thread.
    """

    models_dir: Path
    task_code: TaskCode
    front: Front
    executions: Callable[[str, ServingConfig], Sequence[Execution]]
    trusted: TrustedKeys | None
    residency: Residency
    on_fault: OnFault

    def started(self, model: str, version: str, config: ServingConfig) -> Entry:
        """The version in memory, with an open queue and workers. Raises ServingError: REFUSED_LOAD where it must not be
        served, UNAVAILABLE where its device is lost.
        """
        manifest = self._read(model, version)
        resident = self.residency.add(manifest, lambda: self._read_and_load(model, version, config))
        try:
            loaded = self.residency.use(resident)
            queue = self.front.open_queue(queue_spec(loaded, batch_rows(loaded)))
        except BaseException:
            self.residency.remove(resident)
            raise
        workers = start_instances(
            queue,
            f"{model}/{version}",
            loaded.instances,
            partial(self.residency.use, resident),
            self.on_fault,
            warm=bool(config.graph_rows),
            in_place=loaded.in_place,
        )
        provider, own = loaded.session.provider, own_file(manifest)
        return Entry(READY, "", manifest, resident, config, provider, tuple(workers), own)

    def _read(self, model: str, version: str) -> ModelManifest:
        if version not in versions(self.models_dir, model):
            raise refused_load("VERSION_MISSING", f"version {version}: there is no such folder")
        return read_manifest(self.models_dir, model, version, self.trusted)

    def _read_and_load(self, model: str, version: str, config: ServingConfig) -> LoadedVersion:
        folder, manifest = self.models_dir / model / version, self._read(model, version)
        config = config.for_states() if manifest.states else config
        try:
            return load_version(folder, manifest, config, self.executions(model, config), self.task_code)
        except DeviceFaultError as error:
            self.on_fault(str(error))
            raise device_lost() from None
