"""The shape that every reference model's module has.

`training/<name>.py` (with `_` for `-`) offers `export(workspace: Workspace) -> Exported`: fetch the data, train or
load, evaluate on rows that were held out, convert, compare. It leaves publishing to the runner, so that a model whose
training or parity fails leaves nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from argosy.v1.manifest_pb2 import ModelManifest


@dataclass(frozen=True, slots=True)
class Workspace:
    """What a model's module may use: a folder for downloads, and a way to say in a few words what it is doing."""

    cache_dir: Path
    report: Callable[[str], None]

    @property
    def packages_dir(self) -> Path:
        """Where fetched archives are kept."""
        return self.cache_dir / "packages"


@dataclass(frozen=True, slots=True)
class Exported:
    """A graph with its manifest: parity and metrics filled in, version and digests left to the publisher.

    `files` are the other files of the version by name, such as tokenizer.json.
    """

    manifest: ModelManifest
    graph: bytes
    files: Mapping[str, bytes] = field(default_factory=dict)


class ReferenceModel(Protocol):
    """A module of a reference model."""

    def export(self, workspace: Workspace) -> Exported: ...
