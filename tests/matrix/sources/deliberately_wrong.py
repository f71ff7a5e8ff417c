"""Sources whose export is wrong on purpose: the matrix has to find them. No case of the catalogue is made here."""

from dataclasses import replace
from pathlib import Path

from tests.matrix.case import Made, Rows
from tests.matrix.describe import PROBABILITIES
from tests.matrix.sources.onnx import onnx_linear


def other_numbers(folder: Path) -> Made:
    """The file is one model and the source another, as a converter leaves it: the exporter cannot know."""
    made = onnx_linear(folder)

    def answer(rows: Rows) -> Rows:
        answers = made.answer(rows)[PROBABILITIES].copy()
        answers[-1] += 0.01
        return {PROBABILITIES: answers}

    return replace(made, answer=answer)


def right_numbers(folder: Path) -> Made:
    return onnx_linear(folder)


def impossible(folder: Path) -> Made:
    raise RuntimeError("no such data")
