"""A source is what it holds, whatever it is called."""

import gzip
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from exporter.errors import SourceError
from exporter.sniff import OBJECT, PICKLE, Kind, kind_of


def test_a_pickle_called_onnx_is_a_pickle(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(pickle.dumps({"a": 1}))
    assert kind_of(str(tmp_path / "model.onnx")) == Kind(PICKLE, runs_code=True)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("m.bin", b"\x08\x09\x12\x00", Kind("onnx")),
        ("m.bin", b"\x89HDF\r\n\x1a\n....", Kind("keras")),
        ("m.bin", b"\x1c\x00\x00\x00TFL3", Kind("tflite")),
        ("m.bin", b'{"learner": {}}', Kind("xgboost")),
        ("m.bin", b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{", Kind("xgboost")),
        ("m.bin", b"tree\nversion=v4\n", Kind("lightgbm")),
        ("m.bin", b'{"modelTopology": {}}', Kind("tfjs")),
        ("m.bin", gzip.compress(b'{"modelTopology": {}}'), Kind("tfjs")),
        ("m.bin", gzip.compress(pickle.dumps(1)), Kind(PICKLE, runs_code=True)),
        ("m.joblib", b"\x78\x9c....", Kind(PICKLE, runs_code=True)),
    ],
)
def test_files_are_told_apart_by_their_content(tmp_path: Path, name: str, content: bytes, kind: Kind) -> None:
    (tmp_path / name).write_bytes(content)
    assert kind_of(str(tmp_path / name)) == kind


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        (["config.json", "metadata.json", "model.weights.h5"], Kind("keras")),
        (["net/archive_format", "net/models/model.json"], Kind("pytorch", runs_code=True)),
        (["serialized_exported_program.json"], Kind("pytorch", runs_code=True)),
        (["net/constants.pkl", "net/data.pkl", "net/code/net.py"], Kind("pytorch")),
        (["net/data.pkl", "net/data/0"], Kind("pytorch", runs_code=True)),
        (["net/data.pkl", "else/models/model.json"], Kind("pytorch", runs_code=True)),
    ],
)
def test_archives_are_told_apart_by_their_members(tmp_path: Path, members: list[str], kind: Kind) -> None:
    with zipfile.ZipFile(tmp_path / "model", "w") as archive:
        for member in members:
            archive.writestr(member, b"")
    assert kind_of(str(tmp_path / "model")) == kind


def test_folders_are_told_apart_by_their_files(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").touch()
    assert kind_of(str(tmp_path)) == Kind("tensorflow")


def test_an_object_is_a_module_and_a_name() -> None:
    assert kind_of("package.module:name") == Kind(OBJECT, runs_code=True)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04 and no more", "cut short or damaged"),
        (b"\x1f\x8b\x08 and no more", "cut short or damaged"),
        (b'{"learner": ', "cut short or damaged"),
        (b'{"other": 1}', "neither a TF.js nor an XGBoost model"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00{}", "weights (safetensors) and no model"),
        (b"some text", "nothing that can be exported"),
    ],
)
def test_what_cannot_be_exported_is_said_in_words(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(SourceError) as refusal:
        kind_of(str(tmp_path / "file"))
    assert says in str(refusal.value)


def test_arrays_are_no_model(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=np.zeros(3))
    with pytest.raises(SourceError, match="holds arrays and no model"):
        kind_of(str(tmp_path / "rows.npz"))


def test_a_folder_without_a_model_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"neither saved_model\.pb"):
        kind_of(str(tmp_path))
