"""The pictures of an evaluation."""

from pathlib import Path

import numpy as np
from PIL import Image

from evaluation.figures import confusion
from evaluation.plots import calibration, draw_calibration, draw_confusion


def test_bins_hold_equally_many_rows_from_the_least_sure_to_the_surest() -> None:
    confidence = np.linspace(0.5, 1.0, 40)
    said, seen, rows = calibration(confidence, confidence > 0.75)
    assert rows.tolist() == [20, 20]
    assert (seen.tolist(), said[0] < 0.75 < said[1]) == ([0.0, 1.0], True)


def test_few_rows_are_one_bin() -> None:
    said, seen, rows = calibration(np.array([0.6, 0.8]), np.array([True, False]))
    assert (said.tolist(), seen.tolist(), rows.tolist()) == ([0.7], [0.5], [2])


def test_both_pictures_are_drawn_as_png(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    truth, scores = random.integers(0, 3, 100), random.dirichlet([1, 1, 1], 100)
    matrix = confusion(truth, scores.argmax(axis=1), 3, "test")
    draw_confusion(matrix, ["a", "b", "a class with a very long name"], "three", tmp_path / "confusion.png")
    draw_calibration(truth, scores, "three", tmp_path / "calibration.png")
    for name in ("confusion.png", "calibration.png"):
        with Image.open(tmp_path / name) as image:
            assert image.format == "PNG"
            assert image.width > 400
            assert len(set(image.convert("L").tobytes())) > 10  # something is drawn


def test_a_class_whose_name_has_dollar_signs_is_drawn_as_it_is_written(tmp_path: Path) -> None:
    # As a formula it would be one that Matplotlib cannot read.
    labels = [r"$\nosuch$", "b"]
    draw_confusion(confusion(np.array([0, 1]), np.array([0, 1]), 2, "test"), labels, "two", tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
