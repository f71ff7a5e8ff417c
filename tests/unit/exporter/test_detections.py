"""Boxes and scores that a detector answers are held against what their roles say."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from argosy.v1 import manifest_pb2 as pb
from exporter.__main__ import main
from exporter.conversion import RowSet
from exporter.detections import check_detections
from exporter.errors import ManifestError
from tests.unit.services.runtime.tiny import model_of

SPECS = [
    pb.TensorSpec(name="boxes", role=pb.OUTPUT_ROLE_BOXES),
    pb.TensorSpec(name="scores", role=pb.OUTPUT_ROLE_SCORES),
]
PIXELS, FRACTIONS, NONE = [2.0, 3, 40, 50], [0.1, -0.2, 0.9, 1.2], [0.0] * 4


def check(boxes: list[object], scores: list[object]) -> None:
    answers = {"boxes": np.float32(boxes), "scores": np.float32(scores)}
    check_detections(SPECS, [RowSet("ordinary", {}, answers)])


@pytest.mark.parametrize(
    ("boxes", "scores", "says"),
    [
        ([[FRACTIONS, NONE]], [[0.9, 0]], "holds fractions of the picture, 1.2 at most"),
        ([PIXELS], [[0.9]], r"\[N, objects, 4\] is needed"),
        ([[PIXELS, PIXELS]], [[3.0, -1]], r"leaves \[0, 1\]"),
        ([[PIXELS, PIXELS]], [[0.2, 0.9]], "is not descending"),
        ([[PIXELS]], [[[0.2, 0.8]]], r"\[N, objects\] is needed"),
    ],
)
def test_what_is_not_what_its_role_says_is_refused(boxes: list[object], scores: list[object], says: str) -> None:
    with pytest.raises(ManifestError, match=says):
        check(boxes, scores)


@pytest.mark.parametrize(
    ("boxes", "scores"),
    [([[PIXELS, NONE]], [[0.9, 0]]), ([[FRACTIONS, PIXELS]], [[0.9, 0.9]]), ([[NONE, NONE]], [[0, 0]])],
    ids=["pixels", "a small object beside a large one", "nothing found"],
)
def test_pixels_and_descending_scores_pass(boxes: list[object], scores: list[object]) -> None:
    check(boxes, scores)


def test_a_detector_of_fractions_is_not_published(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It answers the four numbers that it is given, on hard rows far beyond the picture."""
    given, boxes = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 1, 4]) for name in ("image", "boxes"))
    graph = model_of([helper.make_node("Identity", ["image"], ["boxes"])], [given], [boxes], [])
    (tmp_path / "net.onnx").write_bytes(graph)
    np.savez(tmp_path / "rows.npz", image=np.float32([[FRACTIONS]]))
    (tmp_path / "net.yaml").write_text("outputs: [{name: boxes, meaning: where, role: OUTPUT_ROLE_BOXES}]")
    flags = ["--describe", str(tmp_path / "net.yaml"), "--samples", str(tmp_path / "rows.npz")]
    named = ["--name", "net", "--task", "object-detection", "--output", str(tmp_path / "models")]
    assert main([str(tmp_path / "net.onnx"), *named, *flags]) == 1
    assert "output 'boxes' is described as boxes and holds fractions" in capsys.readouterr().err
