"""Outputs that are computed of a network's own, and outputs that do not hold what they are called."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from argosy.v1 import manifest_pb2 as pb
from exporter.__main__ import main
from exporter.added_outputs import AddedOutput, Kind, with_outputs
from exporter.conversion import Conversion, Provenance, RowSet
from exporter.errors import ManifestError
from exporter.manifest import from_yaml
from exporter.probabilities import check_roles
from exporter.run_graph import run_graph
from exporter.signature import finish
from tests.unit.exporter.conftest import Tiny

LABELS = ("red", "green", "blue")


def conversion(tiny: Tiny, answers: NDArray[np.generic] | None = None) -> Conversion:
    """The tiny classifier without its softmax, and its scores by numpy."""
    scores = tiny.rows @ tiny.weights if answers is None else answers
    rows = RowSet("ordinary", {"features": tiny.rows}, {"logits": scores})
    graph = finish(tiny.answering_scores(), ["features"], ["logits"])
    return Conversion(graph, (rows,), Provenance("onnx", "1"))


def answers(tiny: Tiny, kind: Kind, labels: tuple[str, ...] = ()) -> NDArray[np.generic]:
    added = with_outputs(conversion(tiny), [AddedOutput(kind, "logits", "added")], labels)
    answered = run_graph(added.graph, {"features": tiny.rows})["added"]
    expected = added.row_sets[0].answers["added"]
    if answered.dtype.kind == "f":
        np.testing.assert_allclose(answered, expected, atol=1e-6)
    else:
        assert answered.tolist() == expected.tolist()
    return answered


def test_the_softmax_of_logits_sums_to_one(tiny: Tiny) -> None:
    np.testing.assert_allclose(answers(tiny, Kind.SOFTMAX), tiny.reference(), atol=1e-6)


def test_the_label_is_the_one_of_the_largest_number(tiny: Tiny) -> None:
    likeliest = (tiny.rows @ tiny.weights).argmax(axis=1)
    assert answers(tiny, Kind.ARGMAX, LABELS).tolist() == [LABELS[index] for index in likeliest]


def test_without_labels_the_label_is_an_index(tiny: Tiny) -> None:
    assert answers(tiny, Kind.ARGMAX).tolist() == (tiny.rows @ tiny.weights).argmax(axis=1).tolist()


@pytest.mark.parametrize("kind", [Kind.SIGMOID, Kind.COMPLEMENT])
def test_a_yes_or_no_becomes_the_probabilities_of_both_classes(tiny: Tiny, kind: Kind) -> None:
    weights = tiny.weights[:, :1] if kind == Kind.SIGMOID else np.full((4, 1), 0.25, np.float32)
    yes_or_no = Tiny(weights, tiny.rows if kind == Kind.SIGMOID else np.abs(np.tanh(tiny.rows)))
    both = answers(yes_or_no, kind).astype(np.float64)
    logits = (yes_or_no.rows @ weights)[:, 0].astype(np.float64)
    np.testing.assert_allclose(both[:, 1], logits if kind == Kind.COMPLEMENT else 1 / (1 + np.exp(-logits)), atol=1e-6)
    np.testing.assert_allclose(both.sum(axis=1), 1, atol=1e-6)


def test_the_softmax_of_a_softmax_is_refused(tiny: Tiny) -> None:
    with pytest.raises(ManifestError, match="holds probabilities already"):
        with_outputs(conversion(tiny, tiny.reference()), [AddedOutput(Kind.SOFTMAX, "logits", "p")], ())


@pytest.mark.parametrize(
    ("kind", "numbers", "says"),
    [
        (Kind.SOFTMAX, [[2.0]], "the softmax of one number is always 1"),
        (Kind.ARGMAX, [[2.0]], "of at least two"),
        (Kind.SIGMOID, [[2.0, 1.0]], "one number a row"),
        (Kind.SIGMOID, [[0.2], [0.9]], "a probability already"),
        (Kind.COMPLEMENT, [[0.2], [2.0]], "no probability"),
    ],
)
def test_a_step_that_makes_no_sense_is_refused(tiny: Tiny, kind: Kind, numbers: list[list[float]], says: str) -> None:
    with pytest.raises(ManifestError, match=says):
        with_outputs(conversion(tiny, np.float32(numbers)), [AddedOutput(kind, "logits", "added")], ())


def test_a_label_for_each_class_is_needed(tiny: Tiny) -> None:
    with pytest.raises(ManifestError, match="3 classes, there are 2 labels"):
        with_outputs(conversion(tiny), [AddedOutput(Kind.ARGMAX, "logits", "label")], LABELS[:2])


def test_an_inner_value_gives_way_to_the_name_of_an_added_output(tiny: Tiny) -> None:
    model = tiny.answering_scores()
    model.graph.initializer[0].name = "label"
    model.graph.node[0].input[1] = "label"
    given = Conversion(finish(model, ["features"], ["logits"]), conversion(tiny).row_sets, Provenance("onnx", "1"))
    added = with_outputs(given, [AddedOutput(Kind.ARGMAX, "logits", "label")], LABELS)
    assert set(run_graph(added.graph, {"features": tiny.rows})["label"].tolist()) <= set(LABELS)


@pytest.mark.parametrize(
    ("role", "numbers", "says"),
    [
        (pb.OUTPUT_ROLE_PROBABILITIES, [[0.9, 0.1], [4.0, -1.0]], r"row 1 of kind 'hard' is \[4, -1\].*--softmax"),
        (pb.OUTPUT_ROLE_PROBABILITIES, [[0.9, 0.1], [0.9, 0.8]], r"row 1 of kind 'hard' is \[0.9, 0.8\].*no choice"),
        (pb.OUTPUT_ROLE_PROBABILITIES, [[0.9], [0.1]], "--complement"),
        (pb.OUTPUT_ROLE_PROBABILITIES, [[3.0], [0.1]], "--sigmoid"),
        (pb.OUTPUT_ROLE_LOGITS, [[0.9, 0.1], [0.5, 0.5]], "the softmax of a softmax"),
        (pb.OUTPUT_ROLE_TOKEN_LOGITS, [[[0.9, 0.1]], [[0.5, 0.5]]], "the softmax of a softmax"),
        (pb.OUTPUT_ROLE_LOGITS, [[3.0], [-1.0]], "is one number, of which the softmax is always 1: --sigmoid out"),
        (pb.OUTPUT_ROLE_TOKEN_LOGITS, [[[3.0], [-1.0]]], "a logit for each of the two classes"),
    ],
)
def test_an_output_that_is_not_what_it_is_called_is_refused(
    role: pb.OutputRole.ValueType, numbers: list[object], says: str
) -> None:
    rows = RowSet("hard", {}, {"out": np.float32(numbers)})
    with pytest.raises(ManifestError, match=says):
        check_roles([pb.TensorSpec(name="out", role=role)], [rows])


def test_probabilities_of_eight_bits_pass() -> None:
    coarse = np.round(np.full((4, 10), 0.1) * 256) / 256  # 26 of 256 each: 1.016 in all
    check_roles([pb.TensorSpec(name="out", role=pb.OUTPUT_ROLE_PROBABILITIES)], [RowSet("hard", {}, {"out": coarse})])


@pytest.fixture
def scores(tiny: Tiny, tmp_path: Path) -> Path:
    path = tmp_path / "scores.onnx"
    path.write_bytes(tiny.answering_scores().SerializeToString())
    return path


def export(source: Path, *more: str) -> int:
    named = ["--name", "mine", "--task", "tabular-classification", "--columns", "a,b,c,d", "--labels", ",".join(LABELS)]
    return main([str(source), *named, "--output", str(source.parent / "models"), *more])


def test_logits_are_not_published_as_probabilities(scores: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(scores) == 1
    assert "described as probabilities and holds none" in capsys.readouterr().err
    assert not (scores.parent / "models").exists()


def test_the_added_outputs_are_in_manifest_and_parity_report(scores: Path) -> None:
    assert export(scores, "--softmax", "logits", "--argmax", "species=logits") == 0
    manifest = from_yaml((scores.parent / "models" / "mine" / "1" / "model.yaml").read_text())
    roles = {output.name: output.role for output in manifest.outputs}
    assert roles == {
        "logits": pb.OUTPUT_ROLE_LOGITS,
        "probabilities": pb.OUTPUT_ROLE_PROBABILITIES,
        "species": pb.OUTPUT_ROLE_LABEL,
    }
    assert {output.output for output in manifest.parity.outputs} == set(roles)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--argmax", "scores", "--softmax", "logits"], "--argmax scores: the outputs are logits, probabilities"),
        (["--softmax", "probabilities"], "there is a 'probabilities' already, --softmax NAME=probabilities names it"),
        (["--softmax", "a b"], "OUTPUT or NAME=OUTPUT is needed"),
    ],
)
def test_an_output_that_cannot_be_added_is_one_line(
    scores: Path, capsys: pytest.CaptureFixture[str], flags: list[str], says: str
) -> None:
    assert export(scores, *flags) == 1
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
