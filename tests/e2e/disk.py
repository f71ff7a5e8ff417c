"""Models on disk that a test may change: copies of the reference models, and versions made from them."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import yaml

from tests.e2e.traffic import newest


def copy_models(folder: Path, *models: str) -> Path:
    """The newest version of each of `models` as version 1 of a repository in `folder`; `folder`."""
    for model in models:
        shutil.copytree(newest(model), folder / model / "1")
        edit_manifest(folder / model / "1", lambda manifest: manifest.update(version="1"))
    return folder


def add_version(models_dir: Path, model: str, version: str) -> Path:
    """A version that is version 1 under another number, whole and right; its folder."""
    folder = models_dir / model / version
    shutil.copytree(models_dir / model / "1", folder)
    edit_manifest(folder, lambda manifest: manifest.update(version=version))
    return folder


def edit_manifest(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    path = folder / "model.yaml"
    manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(manifest)
    path.write_text(yaml.safe_dump(manifest), encoding="utf-8")


def seal(folder: Path) -> None:
    """State the digests of the files as they are now, as if the exporter had written them so."""

    def state(manifest: dict[str, object]) -> None:
        manifest["files"] = [
            {
                "path": path.name,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "size_bytes": path.stat().st_size,
            }
            for path in sorted(folder.iterdir())
            if path.name != "model.yaml"
        ]

    edit_manifest(folder, state)


def hold_up(folder: Path) -> Callable[[], None]:
    """Let whoever loads the version wait in the middle of it; what is returned lets it go on (to a refusal)."""
    graph = folder / "model.onnx"
    contents = graph.read_bytes()
    graph.unlink()
    # A pipe: its reader waits until somebody writes.
    os.mkfifo(graph)
    return lambda: graph.write_bytes(contents) and None
