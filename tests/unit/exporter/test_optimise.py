"""A version made smaller: proven against the source, judged beside the one that it is from, or not published."""

from pathlib import Path

import numpy as np
import pytest

from argosy.v1 import manifest_pb2 as pb
from exporter import optimise_model
from exporter.__main__ import main as export
from exporter.labelled import LABELLED_FILE, Labelled
from exporter.labelled import kept as kept_labelled
from exporter.labelled import read as read_labelled
from exporter.manifest import from_yaml
from exporter.optimise import latency_ratio
from exporter.parity_rows import PARITY_FILE, Comparison, kept
from exporter.publish import publish
from exporter.run_graph import run_graph
from exporter.signature import finish
from exporter.steps import Steps, taken

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
    assert optimised(folder, "--fp16", "--unlabelled", "--absolute-tolerance", "0.01") == 0
    made = manifest(folder)
    assert [spec.data_type for spec in (*made.inputs, *made.outputs)] == [pb.DATA_TYPE_FP32] * 2
    assert made.parity.passed
    assert made.parity.reference == "the source's kept answers"
    assert 0 < made.parity.outputs[0].worst_absolute_error < 0.01
    assert (list(made.optimisation.steps), made.optimisation.from_version) == (["fp16"], "1")


def test_the_rows_that_a_new_version_keeps_are_those_that_the_source_answered(folder: Path) -> None:
    flags = ("--fp16", "--absolute-tolerance", "0.01", *labelled(folder))
    assert optimised(folder, *flags) == 0
    first, second = ((folder / "models" / "tiny" / version / PARITY_FILE).read_bytes() for version in "12")
    assert second == first
    assert manifest(folder).parity.row_count == 80  # of the given rows the published graph's answers are compared


def test_a_version_without_the_sources_answers_gets_none(tiny, folder: Path) -> None:
    publish(tiny.draft(), tiny.graph(), {}, folder / "bare")
    flags = ("--fp16", "--absolute-tolerance", "0.01", *labelled(folder))
    assert optimise_model.main(["tiny", "--models-dir", str(folder / "bare"), *flags]) == 0
    assert not (folder / "bare" / "tiny" / "2" / PARITY_FILE).exists()


def test_over_the_tolerance_nothing_is_published_and_the_line_says_how_far(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert optimised(folder, "--int8", "--unlabelled") == 1
    error = capsys.readouterr().err
    assert error.startswith("not optimised: 'tiny' does not answer as its source: output 'probabilities', row ")
    assert error.count("\n") == 1
    assert versions(folder) == ["1"]


@pytest.mark.parametrize("calibrated", [False, True], ids=["row by row", "static"])
def test_int8_is_judged_beside_the_version_that_it_is_from(folder: Path, calibrated: bool) -> None:
    calibration = ("--calibrate", str(folder / "calibration.npz")) if calibrated else ()
    assert optimised(folder, "--int8", *calibration, *ROOM, *labelled(folder)) == 0
    made = manifest(folder)
    before = {metric.name: metric.value for metric in made.optimisation.metrics_before if not metric.label}
    after = {metric.name: metric.value for metric in made.metrics if not metric.label}
    assert before["accuracy"] == pytest.approx(36 / 40)
    assert after["accuracy"] == pytest.approx(36 / 40, abs=3 / 40)
    assert before.keys() == after.keys()
    assert made.optimisation.unjudged == ""
    assert sum(made.confusion.counts) == 40
    assert made.optimisation.steps[0] == ("int8, static on 20 rows" if calibrated else "int8, row by row")


@pytest.mark.parametrize("opset", [13, 18])
def test_an_int8_row_is_answered_alike_whoever_is_beside_it(tiny, opset: int) -> None:
    model = tiny.converted(output="probabilities")
    model.opset_import[0].version = opset
    graph = taken(finish(model, ["features"], ["probabilities"]), Steps(int8=True))
    among_large = {"features": np.concatenate([tiny.rows, 100 * tiny.rows])}
    answers = run_graph(graph, {"features": tiny.rows}, 1)["probabilities"]
    assert np.array_equal(run_graph(graph, among_large)["probabilities"][:40], answers)
    assert answers == pytest.approx(tiny.reference(), abs=0.03)


def test_an_int8_row_of_zeros_is_answered_as_one(tiny) -> None:
    zeros = {"features": np.zeros((1, 4), np.float32)}
    assert run_graph(taken(tiny.graph(), Steps(int8=True)), zeros)["probabilities"] == pytest.approx(1 / 3)


def test_a_step_that_nobody_can_judge_is_refused_until_the_user_says_that_nobody_can(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert optimised(folder, "--fp16", "--absolute-tolerance", "0.01") == 1
    error = capsys.readouterr().err
    assert "give rows with --samples and their right answers with --target, or say --unlabelled" in error
    assert error.count("\n") == 1
    assert versions(folder) == ["1"]
    assert optimised(folder, "--fp16", "--absolute-tolerance", "0.01", "--unlabelled") == 0
    assert manifest(folder).optimisation.unjudged == "the user states that no rows with right answers exist"


def test_a_version_that_kept_labelled_rows_is_judged_on_them(tiny, tmp_path: Path) -> None:
    truth = np.array(["a", "b", "c"], object)[tiny.reference().argmax(axis=1)]
    compared = Comparison({"features": tiny.rows}, {"probabilities": tiny.reference()})
    known = kept_labelled(Labelled({"features": tiny.rows}, truth, "test"))
    publish(tiny.draft(), tiny.graph(), {PARITY_FILE: kept([compared]), **known}, tmp_path / "models")
    assert optimised(tmp_path, "--fp16", "--absolute-tolerance", "0.01") == 0
    made = manifest(tmp_path)
    accuracy = next(metric for metric in made.optimisation.metrics_before if metric.name == "accuracy")
    assert (accuracy.value, accuracy.row_count, accuracy.split) == (1, 40, "the labelled rows that were kept at export")
    assert LABELLED_FILE in {listed.path for listed in made.files}


def test_a_model_whose_answers_are_neither_right_nor_wrong_needs_no_labelled_rows(tiny, tmp_path: Path) -> None:
    draft = tiny.draft()
    draft.ClearField("labels")
    draft.ClearField("table")
    draft.tasks[:] = [pb.TASK_IMAGE_EMBEDDING]
    draft.image.input = "features"
    draft.outputs[0].role = pb.OUTPUT_ROLE_EMBEDDING
    compared = Comparison({"features": tiny.rows}, {"probabilities": tiny.reference()})
    publish(draft, tiny.graph(), {PARITY_FILE: kept([compared])}, tmp_path / "models")
    assert optimised(tmp_path, "--fp16", "--absolute-tolerance", "0.01") == 0
    assert manifest(tmp_path).optimisation.unjudged == "no output can be right or wrong"


def test_a_new_opset_changes_no_answer(folder: Path) -> None:
    assert optimised(folder, "--opset", "20", "--unlabelled") == 0
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
    assert optimised(folder, "--unlabelled", *flags) == 1
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert versions(folder) == ["1"]


def test_without_rows_to_compare_on_nothing_is_made(tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish(tiny.draft(), tiny.graph(), {}, tmp_path / "models")
    assert optimised(tmp_path, "--fp16", "--unlabelled") == 1
    assert "no kept rows to compare on: give some with --samples" in capsys.readouterr().err


def test_the_time_of_a_graph_beside_itself_is_a_positive_ratio(tiny) -> None:
    assert latency_ratio(tiny.graph(), tiny.graph(), {"features": tiny.rows}) > 0


def exported_small(tiny, folder: Path, *flags: str) -> pb.ModelManifest:
    (folder / "net.onnx").write_bytes(tiny.converted().SerializeToString())
    (folder / "about.yaml").write_text(
        "labels: [a, b, c]\ntable: {columns: [{name: w, kind: COLUMN_KIND_NUMBER, input: features, index: 0}]}\n"
    )
    command = [str(folder / "net.onnx"), "--name", "small", "--task", "tabular-classification"]
    command += ["--describe", str(folder / "about.yaml"), "--output", str(folder / "models"), *labelled(folder)]
    assert export([*command, *flags]) == 0
    return from_yaml((folder / "models" / "small" / "1" / "model.yaml").read_text())


def test_an_export_keeps_the_figures_of_the_exported_graph_and_of_the_one_before_the_steps(tiny, folder: Path) -> None:
    made = exported_small(tiny, folder, "--fp16", "--absolute-tolerance", "0.01")
    accuracies = [m.value for m in (*made.metrics, *made.optimisation.metrics_before) if m.name == "accuracy"]
    assert accuracies == pytest.approx([36 / 40, 36 / 40])
    assert (list(made.optimisation.steps), made.optimisation.from_version) == (["fp16"], "")


def test_an_export_keeps_every_figure_the_confusion_matrix_and_the_labelled_rows(tiny, folder: Path) -> None:
    made = exported_small(tiny, folder)
    whole = {metric.name for metric in made.metrics if not metric.label}
    averaged = {f"{figure}_{average}" for figure in ("precision", "recall", "f1") for average in ("macro", "micro")}
    assert whole == {"accuracy", "roc_auc_macro", *averaged}
    assert {metric.label for metric in made.metrics} == {"", "a", "b", "c"}
    matrix = np.array(made.confusion.counts).reshape(3, 3)
    assert (matrix.sum(), matrix.trace()) == (40, 36)
    files = {path.name: path.read_bytes() for path in (folder / "models" / "small" / "1").glob("*.npz")}
    known = read_labelled(files)
    assert known is not None
    assert len(known.truth) == 40


def test_an_export_with_steps_and_no_right_answers_is_refused_before_anything_is_converted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "net.onnx").write_bytes(b"\x08\x09 no graph")
    command = [str(folder / "net.onnx"), "--name", "small", "--task", "tabular-classification", "--int8"]
    assert export([*command, "--output", str(folder / "other")]) == 1
    assert "or say --unlabelled if there are none" in capsys.readouterr().err
