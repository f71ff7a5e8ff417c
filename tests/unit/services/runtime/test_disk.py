"""What is believed of a version on disk, and what is not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from argosy.v1 import manifest_pb2 as pb
from services.runtime.disk import check_version, graph_bytes, model_names, read_manifest, versions
from services.runtime.errors import Cause, ServingError
from tests.unit.services.runtime.odd_files import ODD_YAML, not_allowed
from tests.unit.services.runtime.tiny import digest, write_version


def test_models_and_versions_are_found_by_their_folders(tmp_path: Path) -> None:
    for version in ("1", "2", "10"):
        write_version(tmp_path, "tiny", version)
    for stray in ("tiny/latest", "tiny/01", "Upper/1", ".hidden/1"):
        (tmp_path / stray).mkdir(parents=True)
    (tmp_path / "file").write_text("")

    assert model_names(tmp_path) == ["tiny"]
    assert versions(tmp_path, "tiny") == ["10", "2", "1"]


@pytest.mark.parametrize("name", ["nosuch", "..", "../tiny", "", "tiny/1"])
def test_a_name_that_is_no_model_has_no_versions(name: str, tmp_path: Path) -> None:
    write_version(tmp_path)
    assert versions(tmp_path, name) == []


def test_where_there_is_no_folder_there_are_no_models(tmp_path: Path) -> None:
    assert model_names(tmp_path / "nosuch") == []


def test_a_right_version_is_believed(tmp_path: Path) -> None:
    folder = write_version(tmp_path)
    check_version(folder, read_manifest(tmp_path, "tiny", "1"))


@pytest.mark.parametrize(
    "text", ["[1, 2]", "name: [", "nosuch: 1", "name: 7\nversion: {}", "\x00", "tasks: [.inf]", *ODD_YAML]
)
def test_a_manifest_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    folder = write_version(tmp_path)
    (folder / "model.yaml").write_text(text)
    assert refusal(lambda: read_manifest(tmp_path, "tiny", "1")).reason == "MANIFEST_UNREADABLE"


def test_an_empty_manifest_is_none_of_the_version_it_lies_in(tmp_path: Path) -> None:
    (write_version(tmp_path) / "model.yaml").write_text("")
    assert refusal(lambda: read_manifest(tmp_path, "tiny", "1")).reason == "MANIFEST_MISPLACED"


def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_version(tmp_path).parent
    not_allowed(monkeypatch, "iterdir", folder)
    assert refusal(lambda: versions(tmp_path, "tiny")).reason == "MODEL_UNREADABLE"


@pytest.mark.parametrize("depth", [0, 1], ids=["a link to a place that is not ours", "no access inside"])
def test_what_may_not_even_be_looked_at_is_refused_once_it_is_read(
    depth: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = write_version(tmp_path)
    not_allowed(monkeypatch, "is_dir", [version.parent, version][depth])
    not_allowed(monkeypatch, "read_bytes", version / "model.yaml")
    assert model_names(tmp_path) == ["tiny"]
    assert versions(tmp_path, "tiny") == ["1"]
    assert refusal(lambda: read_manifest(tmp_path, "tiny", "1")).reason == "MANIFEST_UNREADABLE"


def test_a_file_in_a_folder_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_version(tmp_path)
    manifest = read_manifest(tmp_path, "tiny", "1")
    not_allowed(monkeypatch, "is_symlink", folder / "model.onnx")
    assert refusal(lambda: check_version(folder, manifest)).reason == "FILE_MISSING"


def test_a_manifest_of_another_version_is_refused(tmp_path: Path) -> None:
    write_version(tmp_path).rename(tmp_path / "tiny" / "2")
    assert refusal(lambda: read_manifest(tmp_path, "tiny", "2")).reason == "MANIFEST_MISPLACED"


def changed_bytes(folder: Path, manifest: pb.ModelManifest) -> None:
    graph = folder / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"\0")


def missing(folder: Path, manifest: pb.ModelManifest) -> None:
    (folder / "model.onnx").unlink()


def link(folder: Path, manifest: pb.ModelManifest) -> None:
    graph = folder / "model.onnx"
    graph.rename(folder.parent / "elsewhere.onnx")
    graph.symlink_to("../elsewhere.onnx")


def linked_folder(folder: Path, manifest: pb.ModelManifest) -> None:
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "vocabulary.txt").write_text("a")
    (folder / "data").symlink_to(outside)
    manifest.files.append(digest(outside / "vocabulary.txt"))
    manifest.files[-1].path = "data/vocabulary.txt"


def above(folder: Path, manifest: pb.ModelManifest) -> None:
    manifest.files.append(pb.FileDigest(path="../1/model.onnx"))


def absolute(folder: Path, manifest: pb.ModelManifest) -> None:
    manifest.files.append(pb.FileDigest(path="/etc/hostname"))


def not_listed(folder: Path, manifest: pb.ModelManifest) -> None:
    del manifest.files[:]


def external_data(folder: Path, manifest: pb.ModelManifest) -> None:
    graph = folder / "model.onnx"
    graph.write_bytes(graph.read_bytes() + b"\x0a\x08location\x12\x09../weights")
    manifest.files[0].CopyFrom(digest(graph))


def parity(folder: Path, manifest: pb.ModelManifest) -> None:
    manifest.parity.passed = False


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (changed_bytes, "DIGEST_MISMATCH"),
        (missing, "FILE_MISSING"),
        (link, "FILE_IS_LINK"),
        (linked_folder, "FILE_IS_LINK"),
        (above, "FILE_OUTSIDE"),
        (absolute, "FILE_OUTSIDE"),
        (not_listed, "FILE_NOT_LISTED"),
        (external_data, "FILE_NOT_LISTED"),
        (parity, "PARITY_NOT_PASSED"),
    ],
)
def test_a_version_with_a_fault_is_refused_by_its_cause(
    fault: Callable[[Path, pb.ModelManifest], None], reason: str, tmp_path: Path
) -> None:
    folder = write_version(tmp_path)
    manifest = read_manifest(tmp_path, "tiny", "1")
    fault(folder, manifest)

    error = refusal(lambda: check_version(folder, manifest))

    assert (error.cause, error.reason) == (Cause.REFUSED_LOAD, reason)
    assert str(tmp_path) not in error.message


def test_external_data_that_the_manifest_lists_is_believed(tmp_path: Path) -> None:
    folder = write_version(tmp_path)
    manifest = read_manifest(tmp_path, "tiny", "1")
    (folder / "weights").write_bytes(b"w")
    graph = folder / "model.onnx"
    graph.write_bytes(graph.read_bytes() + b"\x0a\x08location\x12\x07weights")
    del manifest.files[:]
    manifest.files.extend([digest(graph), digest(folder / "weights")])
    check_version(folder, manifest)


def test_the_bytes_of_a_graph_are_its_own_and_those_of_its_external_data_once(tmp_path: Path) -> None:
    folder = write_version(tmp_path)
    (folder / "weights").write_bytes(b"w" * 1000)
    (folder / "vocabulary.txt").write_bytes(b"v" * 5000)
    graph = folder / "model.onnx"
    graph.write_bytes(graph.read_bytes() + 2 * b"\x0a\x08location\x12\x07weights")
    assert graph_bytes(folder) == graph.stat().st_size + 1000


def refusal(call: Callable[[], object]) -> ServingError:
    with pytest.raises(ServingError) as raised:
        call()
    return raised.value
