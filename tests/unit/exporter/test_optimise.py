"""A version made smaller: proven against the source, judged beside the one that it is from, or not published."""

from pathlib import Path

import numpy as np
import pytest

from argosy.v1 import manifest_pb2 as pb
from exporter import optimise_model
from exporter.__main__ import main as export
from exporter.manifest import from_yaml
from exporter.optimise import latency_ratio
from exporter.parity_rows import PARITY_FILE, Comparison, kept
from exporter.publish import publish

# What `tiny` loses in 8 bits, the rows beyond the calibrated range too.
ROOM = ("--absolute-tolerance", "0.4", "--other-labels", "3")


@pytest.fixture
def folder(tiny, tmp_path: Path) -> Path:
    """tiny/1 with the source's answers kept, and rows of which we know the answers."""
    compared = Comparison({"features": tiny.rows}, {"probabilities": tiny.reference()})
    publish(tiny.draft(), tiny.graph(), {PARITY_FILE: kept([compared])}, tmp_path / "models")
    truth = tiny.reference().argmax(axis=1)
    truth[:4] = (truth[:4] + 1) % 3
    np.savez(tmp_path / "rows.npz", features=tiny.rows, answer=truth)
    np.savez(tmp_path / "calibration.npz", features=tiny.rows[::2])
    return tmp_path


def optimised(folder: Path, *flags: str) -> int:
    return optimise_model.main(["tiny", "--models-dir", str(folder / "models"), *flags])


def labelled(folder: Path) -> tuple[str, ...]:
    return "--samples", str(folder / "rows.npz"), "--target", "answer"


def manifest(folder: Path, version: str = "2") -> pb.ModelManifest:
    return from_yaml((folder / "models" / "tiny" / version / "model.yaml").read_text())


def versions(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "models" / "tiny").iterdir())


def test_fp16_is_a_new_version_that_takes_and_answers_what_the_old_one_did(folder: Path) -> None:
    assert optimised(folder, "--fp16", "--absolute-tolerance", "0.01") == 0
    made = manifest(folder)
    assert [spec.data_type for spec in (*made.inputs, *made.outputs)] == [pb.DATA_TYPE_FP32] * 2
    assert made.parity.passed
    assert made.parity.reference == "the source's kept answers"
    assert 0 < made.parity.outputs[0].worst_absolute_error < 0.01
    assert (list(made.optimisation.steps), made.optimisation.from_version) == (["fp16"], "1")


def test_over_the_tolerance_nothing_is_published_and_the_line_says_how_far(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert optimised(folder, "--int8") == 1
    error = capsys.readouterr().err
    assert error.startswith("not optimised: 'tiny' does not answer as its source: output 'probabilities', row ")
    assert error.count("\n") == 1
    assert versions(folder) == ["1"]


@pytest.mark.parametrize("calibrated", [False, True], ids=["dynamic", "static"])
def test_int8_is_judged_beside_the_version_that_it_is_from(folder: Path, calibrated: bool) -> None:
    calibration = ("--calibrate", str(folder / "calibration.npz")) if calibrated else ()
    assert optimised(folder, "--int8", *calibration, *ROOM, *labelled(folder)) == 0
    made = manifest(folder)
    before = {metric.name: metric.value for metric in made.optimisation.metrics_before if not metric.label}
    after = {metric.name: metric.value for metric in made.metrics if not metric.label}
    assert before["accuracy"] == pytest.approx(36 / 40)
    assert after["accuracy"] == pytest.approx(36 / 40, abs=3 / 40)
    assert before.keys() == after.keys()
    assert made.optimisation.steps[0] == ("int8, static on 20 rows" if calibrated else "int8, dynamic")


def test_a_new_opset_changes_no_answer(folder: Path) -> None:
    assert optimised(folder, "--opset", "20") == 0
    made = manifest(folder)
    assert made.source.opset == 20
    assert made.parity.outputs[0].worst_absolute_error < 1e-6


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--opset", "18"), "opset 18 changes nothing in this graph"),
        (("--optimise",), "optimisation changes nothing in this graph"),
        (("--fp16", "--int8"), "ask for one of them"),
        (("--fp16", "--calibrate", "calibration.npz"), "calibration rows are for int8"),
        (("--fp16", "--samples", "rows.npz", "--target", "nosuch"), "the samples have no array 'nosuch'"),
        (("--fp16", "--samples", "nosuch.npz"), "nosuch.npz cannot be read"),
        (("--fp16", "--model-version", "7"), "does not have 'tiny' version 7"),
        (("--opset", "999"), "opset 999 cannot be had for this graph"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], says: str
) -> None:
    monkeypatch.chdir(folder)
    assert optimised(folder, *flags) == 1
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert versions(folder) == ["1"]


def test_without_rows_to_compare_on_nothing_is_made(tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish(tiny.draft(), tiny.graph(), {}, tmp_path / "models")
    assert optimised(tmp_path, "--fp16") == 1
    assert "no kept rows to compare on: give some with --samples" in capsys.readouterr().err


def test_the_time_of_a_graph_beside_itself_is_a_positive_ratio(tiny) -> None:
    assert latency_ratio(tiny.graph(), tiny.graph(), {"features": tiny.rows}) > 0


def test_an_export_keeps_the_figures_of_the_exported_graph_and_of_the_one_before_the_steps(tiny, folder: Path) -> None:
    (folder / "net.onnx").write_bytes(tiny.converted().SerializeToString())
    (folder / "about.yaml").write_text(
        "labels: [a, b, c]\ntable: {columns: [{name: w, kind: COLUMN_KIND_NUMBER, input: features, index: 0}]}\n"
    )
    command = [str(folder / "net.onnx"), "--name", "small", "--task", "tabular-classification"]
    command += ["--describe", str(folder / "about.yaml"), "--output", str(folder / "models"), *labelled(folder)]
    assert export([*command, "--fp16", "--absolute-tolerance", "0.01"]) == 0
    made = from_yaml((folder / "models" / "small" / "1" / "model.yaml").read_text())
    accuracies = [m.value for m in (*made.metrics, *made.optimisation.metrics_before) if m.name == "accuracy"]
    assert accuracies == pytest.approx([36 / 40, 36 / 40])
    assert (list(made.optimisation.steps), made.optimisation.from_version) == (["fp16"], "")
