"""What is allowed unless stated: little of outputs that are small, nothing of classes, all kinds together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from argosy.v1 import manifest_pb2 as pb
from exporter.__main__ import main as export
from exporter.comparison import Outcome, compare_all
from exporter.conversion import Conversion, Provenance, RowSet
from exporter.errors import ParityError
from exporter.independence import require_independent, usual_of
from exporter.optimise_model import main as optimise
from exporter.parity import DEFAULT_TOLERANCE, Tolerance, merge
from exporter.parity_rows import PARITY_FILE, Comparison, kept
from exporter.publish import publish
from exporter.recheck import recheck, stated_tolerance
from exporter.signature import finish
from exporter.verify import compare

ROWS = np.linspace(-1, 1, 40, dtype=np.float32)[:, None]
SMALL = 1e-7


def scaled(factor: float) -> bytes:
    """y = factor * x."""
    tensor = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1]) for name in "xy"]
    factors = helper.make_tensor("factor", TensorProto.FLOAT, [1], [factor])
    graph = helper.make_graph([helper.make_node("Mul", ["x", "factor"], ["y"])], "m", tensor[:1], tensor[1:], [factors])
    return finish(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), ["x"], ["y"])


def compared(factor: float, *references: np.ndarray, tolerance: Tolerance = DEFAULT_TOLERANCE, **roles: list[str]):
    sets = tuple(RowSet(f"kind {n}", {"x": ROWS}, {"y": reference}) for n, reference in enumerate(references))
    conversion = Conversion(scaled(factor), sets, Provenance("numpy", "1"))
    return compare_all(conversion, roles.get("class_outputs", ()), tolerance, roles.get("index_outputs", ()))


def test_zeros_for_numbers_that_are_small_by_nature_fail() -> None:
    outcome = compared(0, SMALL * ROWS)
    assert "off by 1e-07 (allowed 1e-11" in outcome.failure


def test_a_kind_of_small_answers_is_measured_by_the_largest_of_all_kinds() -> None:
    small = RowSet("small", {"x": SMALL * ROWS}, {"y": 2 * SMALL * ROWS})
    alone = Conversion(scaled(1), (small,), Provenance("numpy", "1"))
    beside = replace(alone, row_sets=(RowSet("large", {"x": ROWS}, {"y": ROWS}), small))
    assert not compare_all(alone, (), DEFAULT_TOLERANCE).passed
    assert compare_all(beside, (), DEFAULT_TOLERANCE).passed


def test_small_numbers_that_are_right_pass() -> None:
    assert compared(SMALL, SMALL * ROWS).passed


def test_an_absolute_tolerance_that_is_stated_holds_for_small_numbers_too() -> None:
    assert compared(0, SMALL * ROWS, tolerance=Tolerance(absolute=1e-5)).passed


def test_small_numbers_by_class_are_allowed_what_others_are() -> None:
    assert compared(1e-6, 1.1e-6 * np.abs(ROWS), class_outputs=["y"], tolerance=Tolerance(disagreeing_labels=40)).passed


def test_a_small_answer_that_depends_on_the_batch_is_refused() -> None:
    whole = {"y": np.full((4, 1), SMALL)}
    with pytest.raises(ParityError, match="depends on the batch's others"):
        require_independent(whole, usual_of(whole), range(2), {"y": np.zeros((2, 1))})


def test_a_small_row_among_large_ones_may_be_rounded_otherwise() -> None:
    whole = {"y": np.array([[SMALL], [1.0]])}
    require_independent(whole, usual_of(whole), range(1), {"y": np.zeros((1, 1))})


def test_what_is_usual_is_found_once_and_handed_in_for_every_batch() -> None:
    whole, off = {"y": np.array([[SMALL], [1.0]])}, {"y": np.full((1, 1), 1e-3)}
    require_independent(whole, {"y": 1e-2}, range(1), off)
    with pytest.raises(ParityError, match="depends on the batch's others"):
        require_independent(whole, usual_of(whole), range(1), off)


def test_what_was_allowed_of_each_output_is_allowed_of_it_again() -> None:
    outputs = [pb.OutputParity(output=name, absolute_tolerance=value) for name, value in (("a", 1e-5), ("b", 1e-11))]
    tolerance = stated_tolerance(pb.ModelManifest(parity=pb.ParityReport(outputs=outputs)))
    assert (tolerance.absolute_of("a"), tolerance.absolute_of("b")) == (1e-5, 1e-11)


def classes(*, is_class: bool, answered: np.ndarray) -> pb.ParityReport:
    return compare(
        scaled(1),
        {"x": np.array([[3.0], [4.0]], np.float32)},
        {"y": answered},
        Tolerance(absolute=1.5),
        described="numpy",
        index_outputs=["y"] if is_class else (),
    )


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_another_class_is_wrong_however_near_its_number_is(dtype: type) -> None:
    report = classes(is_class=True, answered=np.array([[4], [3]], dtype))
    assert (report.passed, report.outputs[0].disagreeing_labels) == (False, 2)
    assert classes(is_class=False, answered=np.array([[4], [3]], dtype)).passed


def test_the_same_class_beside_a_rounded_number_is_right() -> None:
    assert classes(is_class=True, answered=np.array([[3.0001], [3.9999]], np.float32)).passed


def of_other_classes(rows_a_kind: int, allowed: int) -> Outcome:
    """Two kinds, each with as many rows of another class."""
    answered = ROWS.copy()
    answered[:rows_a_kind] += 5
    roomy = Tolerance(absolute=1.0, disagreeing_labels=allowed)
    return compared(1, answered, answered, tolerance=roomy, index_outputs=["y"])


def test_the_other_classes_of_all_kinds_count_together() -> None:
    outcome = of_other_classes(2, allowed=3)
    assert (outcome.passed, outcome.report.passed) == (False, False)
    assert outcome.failure == "output 'y': 4 rows of all kinds have another class (allowed 3)"
    assert of_other_classes(2, allowed=4).passed


def test_merged_reports_allow_their_other_classes_once() -> None:
    reports = [
        pb.ParityReport(passed=True, row_count=9, outputs=[pb.OutputParity(output="y", disagreeing_labels=2)])
    ] * 2
    assert not merge(reports, Tolerance(disagreeing_labels=3)).passed
    assert merge(reports, Tolerance(disagreeing_labels=4)).passed


def published(tiny, models: Path) -> Path:
    """A version whose output is called a class, with kept answers that are others within the tolerance."""
    draft = tiny.draft()
    draft.ClearField("labels")
    draft.ClearField("table")
    draft.tasks[:] = [pb.TASK_IMAGE_EMBEDDING]
    draft.image.input = "features"
    draft.outputs[0].role = pb.OUTPUT_ROLE_CLASSES
    draft.parity.outputs[0].absolute_tolerance = 1
    kept_rows = kept([Comparison({"features": tiny.rows}, {"probabilities": 1 - tiny.reference()})])
    return publish(draft, tiny.graph(), {PARITY_FILE: kept_rows}, models)


def test_another_class_is_seen_when_a_version_is_verified(tiny, tmp_path: Path) -> None:
    assert "rows with another class" in recheck(published(tiny, tmp_path)).failure


def test_another_class_is_seen_when_a_version_is_optimised(
    tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published(tiny, tmp_path)
    stated = ["--unlabelled", "--absolute-tolerance", "1", "--models-dir", str(tmp_path)]
    assert optimise(["tiny", "--opset", "20", *stated]) == 1
    assert "rows with another class" in capsys.readouterr().err


def test_another_class_is_seen_when_a_model_is_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.onnx").write_bytes(scaled(1))
    np.savez(tmp_path / "rows.npz", x=np.array([[1.0], [2049.0]], np.float32))  # 2049 is 2048 in fp16
    described = "outputs: [{name: y, meaning: a class, role: OUTPUT_ROLE_CLASSES}]\nimage: {input: x}\n"
    (tmp_path / "about.yaml").write_text(described)
    named = ["--name", "m", "--task", "image-embedding", "--describe", str(tmp_path / "about.yaml")]
    rows = ["--samples", str(tmp_path / "rows.npz"), "--without", "large"]
    fp16 = ["--fp16", "--unlabelled", "--absolute-tolerance", "1", "--output", str(tmp_path / "models")]
    assert export([str(tmp_path / "net.onnx"), *named, *rows, *fp16]) == 1
    assert "1 of 2 rows with another class" in capsys.readouterr().err
