"""A version appears whole and proven, or not at all."""

import hashlib
import pickle
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from argosy.v1 import manifest_pb2 as pb
from exporter.errors import ExportError, ManifestError, ParityError, StorageError, VersionExistsError
from exporter.manifest import from_yaml
from exporter.publish import next_version, publish

# Publishes what it is handed; a file may grow to 100,000 bytes, and then the kernel ends the process in mid-write.
PUBLISHER = """
import pickle, resource, signal, sys
from pathlib import Path
from argosy.v1.manifest_pb2 import ModelManifest
from exporter.publish import publish
draft, graph, files, models_dir = pickle.load(sys.stdin.buffer)
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
publish(ModelManifest.FromString(draft), graph, files, Path(models_dir))
"""


def test_a_version_has_its_graph_its_files_and_their_digests(tiny, tmp_path: Path) -> None:
    folder = publish(tiny.draft(), tiny.graph(), {"notes.txt": b"hello"}, tmp_path)
    assert folder == tmp_path / "tiny" / "1"
    manifest = from_yaml((folder / "model.yaml").read_text())
    digests = {file.path: (file.sha256, file.size_bytes) for file in manifest.files}
    assert digests == {
        path: (hashlib.sha256((folder / path).read_bytes()).hexdigest(), (folder / path).stat().st_size)
        for path in ("model.onnx", "notes.txt")
    }


def test_what_is_read_back_is_what_was_written(tiny, tmp_path: Path) -> None:
    draft = tiny.draft()
    folder = publish(draft, tiny.graph(), {}, tmp_path)
    read = from_yaml((folder / "model.yaml").read_text())
    del read.files[:]
    assert read == draft


def test_a_failed_parity_publishes_nothing_and_says_how_far_off(tiny, tmp_path: Path) -> None:
    draft = tiny.draft()
    draft.parity.passed = False
    draft.parity.outputs[0].worst_absolute_error = 0.25
    draft.parity.outputs[0].worst_row = 7
    with pytest.raises(ParityError, match=r"output 'probabilities', row 7: off by 0\.25"):
        publish(draft, tiny.graph(), {}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_a_parity_report_nothing_is_published(tiny, tmp_path: Path) -> None:
    draft = tiny.draft()
    draft.ClearField("parity")
    with pytest.raises(ParityError, match="no parity report: output 'probabilities' was not compared"):
        publish(draft, tiny.graph(), {}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_infinite_error_is_no_parity_whatever_the_report_says(tiny, tmp_path: Path) -> None:
    draft = tiny.draft()
    draft.parity.outputs[0].worst_absolute_error = float("inf")
    with pytest.raises(ParityError):
        publish(draft, tiny.graph(), {}, tmp_path)


def test_a_version_is_never_written_to_again(tiny, tmp_path: Path) -> None:
    folder = publish(tiny.draft(), tiny.graph(), {}, tmp_path)
    before = (folder / "model.yaml").read_bytes()
    with pytest.raises(VersionExistsError, match="version 1 of 'tiny' is published already"):
        publish(tiny.draft(), tiny.graph(), {"more.txt": b""}, tmp_path)
    assert (folder / "model.yaml").read_bytes() == before
    assert not (folder / "more.txt").exists()


def test_an_export_that_is_killed_leaves_nothing_to_serve(tiny, tmp_path: Path) -> None:
    killed = publish_in_child(tiny, tmp_path, {"large.bin": bytes(1_000_000)})
    assert killed == -signal.SIGXFSZ
    assert not (tmp_path / "tiny").exists()
    assert all(entry.name.startswith(".") for entry in tmp_path.iterdir())


def test_the_next_export_clears_away_what_a_killed_one_left(tiny, tmp_path: Path) -> None:
    publish_in_child(tiny, tmp_path, {"large.bin": bytes(1_000_000)})
    publish(tiny.draft(), tiny.graph(), {}, tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["tiny"]


def test_a_full_disk_leaves_nothing(tiny, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(StorageError, match="cannot be written: File too large; nothing was published"):
            publish(tiny.draft(), tiny.graph(), {"large.bin": bytes(1_000_000)}, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "Tiny", "1tiny", "ti/ny", "../tiny", "tiny_net", ".tiny"])
def test_names_that_break_the_rule_are_refused(tiny, tmp_path: Path, name: str) -> None:
    assert refused(tiny, tmp_path, name=name)


@pytest.mark.parametrize("version", ["", "0", "01", "-1", "1.0", "latest", "1/2"])
def test_versions_that_are_no_positive_integer_are_refused(tiny, tmp_path: Path, version: str) -> None:
    assert refused(tiny, tmp_path, version=version)


@pytest.mark.parametrize("path", ["../up.txt", "a/b.txt", "/etc/x", "model.onnx", "model.yaml", ""])
def test_files_that_lie_elsewhere_are_refused(tiny, tmp_path: Path, path: str) -> None:
    with pytest.raises(ManifestError, match="plain file name"):
        publish(tiny.draft(), tiny.graph(), {path: b""}, tmp_path)


def test_a_manifest_that_states_another_shape_is_refused(tiny, tmp_path: Path) -> None:
    draft = tiny.draft()
    draft.inputs[0].shape[1] = 5
    with pytest.raises(ManifestError, match="are not the graph's"):
        publish(draft, tiny.graph(), {}, tmp_path)


def test_labels_that_are_too_few_are_refused(tiny, tmp_path: Path) -> None:
    draft = tiny.draft()
    del draft.labels[-1]
    with pytest.raises(ManifestError, match="3 classes, the manifest 2 labels"):
        publish(draft, tiny.graph(), {}, tmp_path)


def test_preprocessing_that_fills_no_input_of_the_graph_is_refused(tiny, tmp_path: Path) -> None:
    draft = tiny.draft()
    draft.table.columns[0].input = "elsewhere"
    with pytest.raises(ManifestError, match=r"fills \['elsewhere', 'features'\], the graph reads \['features'\]"):
        publish(draft, tiny.graph(), {}, tmp_path)


def test_a_tokenizer_that_was_not_given_is_refused(tiny, tmp_path: Path) -> None:
    draft = tiny.draft()
    draft.tasks[0] = pb.TASK_TEXT_CLASSIFICATION
    draft.text.tokens.ids_input = "features"
    draft.text.tokens.tokenizer_file = "tokenizer.json"
    with pytest.raises(ManifestError, match=r"'tokenizer.json' .* was not given"):
        publish(draft, tiny.graph(), {}, tmp_path)


def test_the_next_version_is_one_more_than_the_highest(tiny, tmp_path: Path) -> None:
    assert next_version(tmp_path, "tiny") == "1"
    for version in ("2", "10"):
        draft = tiny.draft()
        draft.version = version
        publish(draft, tiny.graph(), {}, tmp_path)
    assert next_version(tmp_path, "tiny") == "11"


def publish_in_child(tiny, models_dir: Path, files: dict[str, bytes]) -> int:
    """The exit status of a process that publishes, negative for a signal."""
    order = pickle.dumps((tiny.draft().SerializeToString(), tiny.graph(), files, str(models_dir)))
    return subprocess.run([sys.executable, "-c", PUBLISHER], input=order, check=False, timeout=60).returncode


def refused(tiny, models_dir: Path, **changed: str) -> bool:
    draft = tiny.draft()
    for field, value in changed.items():
        setattr(draft, field, value)
    with pytest.raises(ExportError):
        publish(draft, tiny.graph(), {}, models_dir)
    return list(models_dir.iterdir()) == []
