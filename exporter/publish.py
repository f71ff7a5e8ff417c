"""A version appears in the models folder whole and proven, or not at all.

A service may look at any moment, and an export may be killed at any moment. So the files are written beside the models
under a name that no model can have, brought to disk, and moved into place with one rename. A version that exists is
never written to again.
"""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from argosy.v1.manifest_pb2 import ModelManifest
from exporter.errors import StorageError, VersionExistsError
from exporter.manifest import GRAPH_FILE, MANIFEST_FILE, SIGNATURE_FILE, check_publishable, digests, to_yaml
from exporter.partial_folder import partial_folder
from exporter.signing import signature_line


def publish(
    draft: ModelManifest,
    graph: bytes,
    files: Mapping[str, bytes],
    models_dir: Path,
    key: Ed25519PrivateKey | None = None,
) -> Path:
    """Write models_dir/<name>/<version>/ and return its path. The digests are added to a copy of `draft`.

    With `key` the version appears signed.

    Raises ParityError, ManifestError, GraphError, VersionExistsError or StorageError; then nothing is left behind.
    """
    check_publishable(draft, graph, files)
    target = models_dir / draft.name / draft.version
    if target.exists():
        raise VersionExistsError(
            f"version {draft.version} of '{draft.name}' is published already: versions never change"
        )
    contents = {GRAPH_FILE: graph, **files}
    manifest = ModelManifest()
    manifest.CopyFrom(draft)
    del manifest.files[:]
    manifest.files.extend(digests(contents))
    text = to_yaml(manifest).encode()
    signature = {} if key is None else {SIGNATURE_FILE: signature_line(key, text)}
    try:
        _write_whole(target, {**contents, MANIFEST_FILE: text, **signature}, models_dir)
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror}; nothing was published") from error
    return target


def next_version(models_dir: Path, name: str) -> str:
    """One more than the highest version of a model that is published; '1' for the first."""
    folder = models_dir / name
    versions = [int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal()] if folder.is_dir() else []
    return str(max(versions, default=0) + 1)


def _write_whole(target: Path, contents: Mapping[str, bytes], models_dir: Path) -> None:
    models_dir.mkdir(parents=True, exist_ok=True)
    with partial_folder(models_dir, target.parent.name, target.name) as partial:
        for name, content in contents.items():
            _write_durably(partial / name, content)
        partial.chmod(0o755)
        _sync_folder(partial)
        target.parent.mkdir(exist_ok=True)
        _move(partial, target)
    _sync_folder(target.parent)
    _sync_folder(models_dir)


def _move(partial: Path, target: Path) -> None:
    try:
        partial.rename(target)
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
            raise VersionExistsError(
                f"'{target.parent.name}' version {target.name} was published by another export"
            ) from error
        raise


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
