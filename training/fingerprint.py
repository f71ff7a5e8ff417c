"""Has anything changed that a reference model was made from?

A model is made from its module and whatever of `training` that imports, directly or not; their texts together are its
fingerprint. After training it is kept beside the digest of the manifest that came out, so that a model is trained
anew when its sources change or its files are gone, and left alone otherwise. The exporter and the frameworks are
deliberately not part of it: what is published was proven, and stays so.
"""

import ast
import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exporter.manifest import MANIFEST_FILE


def source_fingerprint(module: str, root: Path) -> str:
    """SHA-256 over the sources of `module` ('training.digits') and of what it imports of its own package.

    `root` is the folder that the package lies in.
    """
    package = module.split(".", 1)[0]
    found: dict[str, bytes] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _source(name, root)
        if name in found or path is None:
            continue
        found[name] = path.read_bytes()
        waiting += [imported for imported in _imports(found[name]) if imported.split(".", 1)[0] == package]
    digest = hashlib.sha256()
    for name in sorted(found):
        digest.update(name.encode() + b"\0" + found[name] + b"\0")
    return digest.hexdigest()


def published_with(record: Path, fingerprint: str, model_dir: Path) -> Path | None:
    """The newest version folder that training with `fingerprint` published, if one is still there as it was."""
    known = set(record.read_text().splitlines()) if record.is_file() else set()
    versions = [entry for entry in model_dir.iterdir() if entry.name.isdecimal()] if model_dir.is_dir() else []
    for version in sorted(versions, key=lambda entry: int(entry.name), reverse=True):
        manifest = version / MANIFEST_FILE
        if manifest.is_file() and f"{fingerprint} {_digest(manifest)}" in known:
            return version
    return None


def remember(record: Path, fingerprint: str, version_dir: Path) -> None:
    """Note what was published with `fingerprint`. One record serves several folders of models: each has its line."""
    record.parent.mkdir(parents=True, exist_ok=True)
    with record.open("a") as lines:
        lines.write(f"{fingerprint} {_digest(version_dir / MANIFEST_FILE)}\n")


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Wait until no other process is in here with the same `lock`: two trainings of one model are one too many."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _source(name: str, root: Path) -> Path | None:
    path = root.joinpath(*name.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _imports(source: bytes) -> list[str]:
    """Every name that could be a module: `from a import b` may mean a.b."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names
