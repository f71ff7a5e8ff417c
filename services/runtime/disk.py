"""Models on disk: which versions there are, and whether one may be believed.

A version is believed when its manifest reads, its parity passed, and every file that the manifest names, and every file
that the graph itself reads, is there with the digest that the manifest states: no link, nothing outside the folder.
Where the operator trusts certain keys only, one of them has signed the manifest, and so every digest. This module
reads files and decides nothing about serving.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import yaml
from google.protobuf import json_format

from argosy.v1.manifest_pb2 import FileDigest, ModelManifest
from services.runtime.errors import refused_load
from services.runtime.trusted_keys import TrustedKeys
from services.runtime.yaml_text import read_yaml

MANIFEST = "model.yaml"
SIGNATURE = "model.yaml.sig"
GRAPH = "model.onnx"

_NAME = re.compile(r"[a-z][a-z0-9-]{0,127}")
_VERSION = re.compile(r"[1-9][0-9]{0,17}")

# TensorProto.external_data has an entry with key 'location': field 1 'location', field 2 the path (onnx.proto).
_LOCATION_KEY = b"\x0a\x08location\x12"


def model_names(models_dir: Path) -> list[str]:
    """The folders that are named as models are, sorted; empty where there is no such directory."""
    if not models_dir.is_dir():
        return []
    return sorted(entry.name for entry in models_dir.iterdir() if _NAME.fullmatch(entry.name) and _is_folder(entry))


def versions(models_dir: Path, model: str) -> list[str]:
    """The versions of a model, newest first; empty where there is none. Raises ServingError (REFUSED_LOAD) where its
    folder cannot be read.
    """
    folder = models_dir / model
    if not _NAME.fullmatch(model) or not _is_folder(folder):
        return []
    try:
        found = [entry.name for entry in folder.iterdir() if _VERSION.fullmatch(entry.name) and _is_folder(entry)]
    except OSError:
        raise refused_load("MODEL_UNREADABLE", f"model '{model}': its folder cannot be read") from None
    return sorted(found, key=int, reverse=True)


def read_manifest(models_dir: Path, model: str, version: str, trusted: TrustedKeys | None = None) -> ModelManifest:
    """The manifest of a version. Raises ServingError (REFUSED_LOAD) where it is missing, unreadable or another's, or
    where none of the `trusted` keys has signed it.
    """
    path = models_dir / model / version / MANIFEST
    try:
        content = path.read_bytes()
        if trusted is not None:
            trusted.check(content, path.with_name(SIGNATURE))
        manifest = json_format.ParseDict(read_yaml(content), ModelManifest())
    except (OSError, yaml.YAMLError, json_format.ParseError, AttributeError, TypeError, OverflowError):
        raise refused_load("MANIFEST_UNREADABLE", f"{MANIFEST}: missing, cut short, or no model manifest") from None
    if (manifest.name, manifest.version) != (model, version):
        named = f"'{manifest.name}' version '{manifest.version}'"
        raise refused_load("MANIFEST_MISPLACED", f"{MANIFEST}: describes {named}, lies in {model}/{version}")
    return manifest


def check_version(folder: Path, manifest: ModelManifest) -> None:
    """Compare a version's files with its manifest. Raises ServingError (REFUSED_LOAD) that names the file."""
    if not manifest.parity.passed:
        raise refused_load("PARITY_NOT_PASSED", f"{MANIFEST}: the export was not proven equal to its source")
    paths = {digest.path for digest in manifest.files}
    if GRAPH not in paths:
        raise refused_load("FILE_NOT_LISTED", f"{GRAPH}: the manifest does not list it")
    for digest in manifest.files:
        _check_file(folder, digest)
    for location in _external_data(folder / GRAPH):
        if location not in paths:
            raise refused_load("FILE_NOT_LISTED", f"{GRAPH}: reads an external file that the manifest does not list")


def graph_bytes(folder: Path) -> int:
    """What a version's graph has on disk, with its external tensors: about its weights."""
    graph = folder / GRAPH
    return sum((folder / path).stat().st_size for path in {GRAPH, *_external_data(graph)})


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # whoever reads it is told
        return True


def _check_file(folder: Path, digest: FileDigest) -> None:
    relative = PurePosixPath(digest.path)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts:
        raise refused_load("FILE_OUTSIDE", f"{MANIFEST}: lists a file outside the version's folder")
    path = folder / relative
    try:
        if any(part.is_symlink() for part in (path, *path.parents) if folder in part.parents):
            raise refused_load("FILE_IS_LINK", f"{relative}: is a link; a version holds plain files only")
        size = path.stat().st_size
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        raise refused_load("FILE_MISSING", f"{relative}: cannot be read") from None
    if size != digest.size_bytes or actual != digest.sha256:
        raise refused_load("DIGEST_MISMATCH", f"{relative}: its digest is not the one in the manifest")


def _external_data(graph: Path) -> Iterator[str]:
    """The paths of external tensors, found by their key wherever in the graph they stand."""
    data = graph.read_bytes()
    position = data.find(_LOCATION_KEY)
    while position >= 0:
        start = position + len(_LOCATION_KEY) + 1
        length = data[start - 1] if start <= len(data) else 0
        yield data[start : start + length].decode(errors="replace")
        position = data.find(_LOCATION_KEY, start)
