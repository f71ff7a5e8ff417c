"""`python -m training`, with the one model that needs no download."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from training.fingerprint import published_with, remember, source_fingerprint


def train(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    folders = ["--models-dir", str(folder / "models"), "--cache-dir", str(folder / "cache")]
    command = [sys.executable, "-m", "training", *names, *folders]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)


def test_a_model_is_trained_once_and_then_left_alone(tmp_path: Path) -> None:
    first, second = train(tmp_path, "diabetes"), train(tmp_path, "diabetes")
    assert (first.returncode, second.returncode) == (0, 0), first.stdout + first.stderr
    assert "unchanged" not in first.stdout
    assert "unchanged" in second.stdout
    assert [entry.name for entry in (tmp_path / "models" / "diabetes").iterdir()] == ["1"]


def test_a_failure_is_one_line_and_an_exit_status(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where a folder should be")
    failed = train(tmp_path, "diabetes")
    assert failed.returncode == 1
    assert re.search(r"StorageError: .* cannot be written: (Not a directory|File exists)", failed.stdout)
    assert "Traceback" not in failed.stdout + failed.stderr


def test_an_unknown_model_is_a_wrong_command_line(tmp_path: Path) -> None:
    failed = train(tmp_path, "nosuch")
    assert failed.returncode == 2
    assert "no reference model 'nosuch'" in failed.stderr


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, source in {
        "one.py": "from made import shared",
        "shared.py": "import made.deep",
        "deep.py": "",
        "other.py": "",
        "__init__.py": "",
    }.items():
        path = tmp_path / "made" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
    return tmp_path


@pytest.mark.parametrize(("changed", "matters"), [("one", True), ("shared", True), ("deep", True), ("other", False)])
def test_a_fingerprint_changes_with_what_the_module_imports(package: Path, changed: str, matters: bool) -> None:
    before = source_fingerprint("made.one", package)
    path = package / "made" / f"{changed}.py"
    path.write_text(path.read_text() + "\n# another word")
    assert (source_fingerprint("made.one", package) != before) is matters


def test_what_was_published_is_known_again_until_it_is_gone(tmp_path: Path) -> None:
    record, version = tmp_path / "record", tmp_path / "model" / "1"
    version.mkdir(parents=True)
    (version / "model.yaml").write_text("name: model")
    remember(record, "abc", version)
    assert published_with(record, "abc", tmp_path / "model") == version
    assert published_with(record, "other", tmp_path / "model") is None
    elsewhere = tmp_path / "elsewhere" / "1"
    elsewhere.mkdir(parents=True)
    (elsewhere / "model.yaml").write_text("name: model, trained once more")
    remember(record, "abc", elsewhere)
    assert published_with(record, "abc", tmp_path / "model") == version
    (version / "model.yaml").write_text("name: changed by hand")
    assert published_with(record, "abc", tmp_path / "model") is None
