"""`python -m exporter`: what a user sees who exports a model of their own."""

import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporter.__main__ import main
from exporter.manifest import from_yaml
from exporter.parity_rows import PARITY_FILE, read

DESCRIPTION = """
description: Which class four numbers are of.
licence: MIT
inputs: [{name: numbers, meaning: four numbers, unit: cm}]
labels: [a, b, c]
table:
  columns:
  - {name: w, kind: COLUMN_KIND_NUMBER, input: numbers, index: 0}
  - {name: x, kind: COLUMN_KIND_NUMBER, input: numbers, index: 1}
  - {name: y, kind: COLUMN_KIND_NUMBER, input: numbers, index: 2}
  - {name: z, kind: COLUMN_KIND_NUMBER, input: numbers, index: 3}
"""


class Leaves:
    """Leaves a file where a pickle of it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


@pytest.fixture
def folder(tiny, tmp_path: Path) -> Path:
    """An ONNX file as a converter left it, rows to compare on, a description."""
    (tmp_path / "net.onnx").write_bytes(tiny.converted().SerializeToString())
    np.savez(tmp_path / "rows.npz", numbers=tiny.rows)
    (tmp_path / "tiny.yaml").write_text(DESCRIPTION)
    return tmp_path


def exported(folder: Path, source: str, *more: str) -> int:
    return main(arguments(folder, source, *more))


def arguments(folder: Path, source: str, *more: str) -> Sequence[str]:
    given = ["--samples", str(folder / "rows.npz"), "--describe", str(folder / "tiny.yaml")]
    named = ["--name", "tiny", "--task", "tabular-classification", "--output", str(folder / "models")]
    return [str(folder / source) if "." in source else source, *named, *given, *more]


def test_an_onnx_file_is_named_compared_and_published(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exported(folder, "net.onnx") == 0
    target = folder / "models" / "tiny" / "1"
    assert capsys.readouterr().out == f"{target}\n"
    text = (target / "model.yaml").read_text()
    assert "name: numbers" in text
    assert "unit: cm" in text
    assert "name: probabilities" in text


def test_the_second_export_is_the_second_version(folder: Path) -> None:
    assert exported(folder, "net.onnx") == exported(folder, "net.onnx") == 0
    assert sorted(entry.name for entry in (folder / "models" / "tiny").iterdir()) == ["1", "2"]


def test_a_tolerance_that_is_not_met_publishes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exported(folder, "net.onnx", "--absolute-tolerance=-1", "--relative-tolerance=0") == 1
    assert "does not answer as its source: rows of kind 'samples': output 'probabilities'" in capsys.readouterr().err
    assert not (folder / "models").exists()


def test_a_pickle_is_not_loaded_unless_it_is_trusted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mark = folder / "was_here"
    (folder / "model.pkl").write_bytes(pickle.dumps(Leaves(mark)))
    assert exported(folder, "model.pkl") == 1
    assert "say --trust-code" in capsys.readouterr().err
    assert not mark.exists()
    assert exported(folder, "model.pkl", "--trust-code") == 1  # it is no model, but it was loaded
    assert mark.exists()


def test_a_file_of_the_current_folder_that_is_called_like_a_package_does_not_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "onnxruntime.py").write_text("open('was_here', 'w')")
    monkeypatch.chdir(folder)
    assert exported(folder, "net.onnx") == 0
    assert not (folder / "was_here").exists()


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("absent.onnx", "there is no file"),
        ("something", "neither a file or folder nor an object"),
        ("tiny.yaml", "nothing that can be exported"),
    ],
)
def test_a_source_that_cannot_be_read_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], source: str, says: str
) -> None:
    assert exported(folder, source) == 1
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_broken_onnx_file_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "broken.onnx").write_bytes(b"\xff\xff\xff\xff")
    assert exported(folder, "broken.onnx") == 1
    assert capsys.readouterr().err == "not exported: broken.onnx cannot be read as ONNX\n"


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "absent.bin"])
def test_weights_outside_the_models_folder_are_refused(
    tiny, folder: Path, capsys: pytest.CaptureFixture[str], location: str
) -> None:
    model = tiny.converted()
    (weights,) = model.graph.initializer
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    (folder.parent / "weights.bin").write_bytes(bytes(48))
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    assert exported(folder, "net.onnx") == 1
    assert "its weights lie in a file that is missing or outside its folder" in capsys.readouterr().err
    assert not (folder / "models").exists()


@pytest.mark.parametrize("content", [b"", b"\x08\x09\x3a\xff"], ids=["empty", "truncated"])
def test_an_onnx_file_that_is_empty_or_cut_short_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (folder / "net.onnx").write_bytes(content)
    assert exported(folder, "net.onnx") == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (folder / "models").exists()


@pytest.mark.parametrize("name", ["../elsewhere", "a/b", ".."])
def test_a_name_that_leaves_the_models_folder_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert exported(folder, "net.onnx", "--name", name) == 1
    assert "lower-case letters, digits and '-'" in capsys.readouterr().err
    assert not (folder / "models").exists()


def test_a_description_with_an_unknown_field_names_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "tiny.yaml").write_text("lables: [a, b]")
    assert exported(folder, "net.onnx") == 1
    assert 'no field named "lables"' in capsys.readouterr().err


def test_a_task_without_its_preprocessing_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "tiny.yaml").write_text("description: no table")
    assert exported(folder, "net.onnx") == 1
    assert "does not tell the names of its 4 columns: --columns a,b,c" in capsys.readouterr().err


def test_a_scikit_learn_pickle_is_exported_where_it_is_trusted(folder: Path) -> None:
    program = """
import joblib, numpy as np, sys
from sklearn.linear_model import LogisticRegression
rows = np.load(sys.argv[1] + "/rows.npz")["numbers"]
joblib.dump(LogisticRegression().fit(rows, np.arange(40) % 3), sys.argv[1] + "/model.joblib")
"""
    subprocess.run([sys.executable, "-c", program, str(folder)], check=True, timeout=100)
    command = [sys.executable, "-m", "exporter", *arguments(folder, "model.joblib", "--trust-code")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "framework: scikit-learn" in (folder / "models" / "tiny" / "1" / "model.yaml").read_text()


TOKENS = """
outputs: [{name: vector, meaning: the vector of a text, role: OUTPUT_ROLE_EMBEDDING}]
text: {tokens: {ids_input: ids, max_tokens: 40}}
"""


def test_a_model_of_tokens_is_tried_at_the_length_that_a_service_cuts_at(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["looked_up"]),
        helper.make_node("ReduceMax", ["looked_up"], ["vector"], axes=[1], keepdims=0),
    ]
    table = numpy_helper.from_array(np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32), "table")
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "tokens"])
    vector = helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["batch", 3])
    graph = helper.make_graph(nodes, "tokens", [ids], [vector], [table])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7), tmp_path / "net.onnx"
    )
    (tmp_path / "about.yaml").write_text(TOKENS)
    named = ["--name", "notes", "--task", "text-embedding", "--describe", str(tmp_path / "about.yaml")]
    where = ["--range", "ids=0:8", "--output", str(tmp_path / "models")]
    assert main([str(tmp_path / "net.onnx"), *named, *where]) == 0
    manifest = from_yaml((tmp_path / "models" / "notes" / "1" / "model.yaml").read_text())
    assert [kind.row_count for kind in manifest.parity.kinds if kind.kind == "longest"] == [4]
    kept = read((tmp_path / "models" / "notes" / "1" / PARITY_FILE).read_bytes())
    assert max(compared.rows["ids"].shape[1] for compared in kept) < 40
