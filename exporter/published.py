"""A version that is published, read back: its manifest, its files, and whether they are still what was published.

What a service checks before it serves is the service's own (`services/runtime/disk.py`): the two share nothing but the
format, so that neither is believed on the other's word.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from argosy.v1 import manifest_pb2 as pb
from exporter import onnx_file
from exporter.errors import ManifestError
from exporter.manifest import GRAPH_FILE, MANIFEST_FILE, SIGNATURE_FILE, digests, from_yaml, is_file_name


@dataclass(frozen=True, slots=True)
class Published:
    """A version's folder, its manifest and the bytes of that, and the contents of its other files by path.

    They were checked: nothing reads the folder again, which may hold other bytes by then.
    """

    folder: Path
    manifest: pb.ModelManifest
    manifest_bytes: bytes
    files: Mapping[str, bytes]

    def graph(self) -> bytes:
        """The graph with its external data brought in. Raises SourceError where it is no ONNX."""
        return onnx_file.of_bytes(GRAPH_FILE, self.files).SerializeToString()


def model_versions(models_dir: Path, model: str = "", version: str = "") -> list[Path]:
    """The folders of published versions, by name and number; those of `model` and `version` alone where named.

    Raises ManifestError where there is none.
    """
    found = [path.parent for path in models_dir.glob(f"[!.]*/*/{MANIFEST_FILE}") if path.parent.name.isdecimal()]
    folders = [path for path in found if model in ("", path.parent.name) and version in ("", path.name)]
    if not folders:
        what = f"'{model}'" + (f" version {version}" if version else "") if model else "a model"
        raise ManifestError(f"{models_dir} does not have {what}: --models-dir names the folder of the models")
    return sorted(folders, key=lambda path: (path.parent.name, int(path.name)))


def newest(models_dir: Path, model: str) -> Path:
    """The folder of the model's highest version. Raises ManifestError where it has none."""
    return model_versions(models_dir, model)[-1]


def read_published(folder: Path) -> Published:
    """A version with every file that its manifest lists. Raises ManifestError that names what is not right."""
    try:
        content = (folder / MANIFEST_FILE).read_bytes()
        manifest = from_yaml(content.decode())
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{MANIFEST_FILE} cannot be read") from error
    if (manifest.name, manifest.version) != (folder.parent.name, folder.name):
        raise ManifestError(f"{MANIFEST_FILE} is that of '{manifest.name}' version {manifest.version}")
    published = Published(folder, manifest, content, dict(_contents(folder, manifest)))
    _check_digests(published)
    return published


def _contents(folder: Path, manifest: pb.ModelManifest) -> Iterator[tuple[str, bytes]]:
    for listed in manifest.files:
        if not is_file_name(listed.path):
            raise ManifestError(f"{listed.path} is no plain file name, and a version has no others")
        path = folder / listed.path
        if not path.resolve().is_relative_to(folder.resolve()) or path.is_symlink():
            raise ManifestError(f"{listed.path} lies outside of the version's folder")
        try:
            yield listed.path, path.read_bytes()
        except OSError as error:
            raise ManifestError(f"{listed.path} cannot be read: {error.strerror}") from error


def _check_digests(published: Published) -> None:
    stated = {listed.path: listed for listed in published.manifest.files}
    for actual in digests(published.files):
        if actual != stated[actual.path]:
            raise ManifestError(f"{actual.path} is not what was published: its digest is another")
    listed_and_own = {*stated, MANIFEST_FILE, SIGNATURE_FILE}
    for path in sorted(published.folder.rglob("*")):
        name = str(path.relative_to(published.folder))
        if path.is_file() and name not in listed_and_own:
            raise ManifestError(f"{name} is not in the manifest: nothing is added to a published version")
