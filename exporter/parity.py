"""How far two answers to the same rows are apart, in the terms of argosy.v1.ParityReport.

NaN is never equal to anything here, NaN included: a model that answers NaN is not one to publish. This module knows
arrays alone; what produced them is `verify.py`'s concern.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from argosy.v1.manifest_pb2 import OutputParity, ParityReport
from exporter.arrays import Array
from exporter.errors import ParityError

__all__ = ["DEFAULT_TOLERANCE", "Array", "Tolerance", "WorstError", "describe_failure", "merge"]

# Below this magnitude a relative error says nothing: the proto's comment states the same number.
RELATIVE_FLOOR = 1e-6
# Classes nearer to each other than float32 can tell apart are equally likely.
_TIE = 5e-7


@dataclass(frozen=True, slots=True)
class Tolerance:
    """An element passes where |graph - reference| <= absolute + relative * |reference|.

    `disagreeing_labels` rows may have another likeliest class: 0 unless the source is itself uncertain (quantised).
    """

    absolute: float = 1e-5
    relative: float = 1e-4
    disagreeing_labels: int = 0


DEFAULT_TOLERANCE = Tolerance()


def merge(reports: Sequence[ParityReport]) -> ParityReport:
    """One report of several comparisons of one graph (other lengths, hard rows): the worst of each output."""
    merged = ParityReport(passed=bool(reports) and all(report.passed for report in reports))
    worst: dict[str, OutputParity] = {}
    for report in reports:
        for output in report.outputs:
            seen = worst.setdefault(output.output, OutputParity(output=output.output))
            _absorb(seen, output, rows_before=merged.row_count)
        merged.row_count += report.row_count
    merged.outputs.extend(worst.values())
    merged.reference = "; ".join(dict.fromkeys(report.reference for report in reports))
    return merged


def describe_failure(parity: ParityReport) -> str:
    """The worst output in words: its name, the row, how far off."""
    worst = max(parity.outputs, key=lambda output: (output.worst_absolute_error, output.disagreeing_labels))
    return (
        f"output '{worst.output}', row {worst.worst_row}: off by {worst.worst_absolute_error:.3g}"
        f" (allowed {worst.absolute_tolerance:.3g} + {worst.relative_tolerance:.3g} × |reference|),"
        f" {worst.disagreeing_labels} of {parity.row_count} rows with another class; against {parity.reference}"
    )


class WorstError:
    """The worst of one output over all batches. The same row may come more than once, in batches of other sizes."""

    def __init__(self, output: str, tolerance: Tolerance, has_classes: bool) -> None:
        self._exceeded = False
        self._output = output
        self._tolerance = tolerance
        self._has_classes = has_classes
        self._absolute = self._relative = self._excess = -math.inf
        self._row = 0
        self._disagreeing_rows: set[int] = set()

    def add(self, asked: range, answer: Array, whole_reference: Array) -> None:
        """`answer` is to hold the rows that were asked: one for each. Raises ParityError where its shape is another."""
        expected = whole_reference[asked.start : asked.stop]
        if answer.shape != expected.shape:
            raise ParityError(
                f"output '{self._output}': the graph answers shape {list(answer.shape)},"
                f" the source {list(expected.shape)}"
            )
        if answer.dtype.kind in "OUS" or expected.dtype.kind in "OUS" or _are_indices(answer):
            self._add_labels(asked.start, answer, expected)
        else:
            self._add_numbers(asked.start, answer.astype(np.float64), expected.astype(np.float64))

    def _add_labels(self, start: int, answer: Array, expected: Array) -> None:
        differs = (answer.astype(str) != expected.astype(str)).reshape(answer.shape[0], -1).any(axis=1)
        self._disagreeing_rows.update(start + int(row) for row in np.flatnonzero(differs))
        self._absolute, self._relative = max(self._absolute, 0.0), max(self._relative, 0.0)

    def _add_numbers(self, start: int, answer: NDArray[np.float64], expected: NDArray[np.float64]) -> None:
        if self._has_classes:
            differs = _another_class(answer, expected).reshape(answer.shape[0], -1).any(axis=1)
            self._disagreeing_rows.update(start + int(row) for row in np.flatnonzero(differs))
        error, magnitude = _absolute_error(answer, expected), np.abs(expected)
        has_ratio = (magnitude >= RELATIVE_FLOOR) & np.isfinite(magnitude)
        relative = np.divide(error, magnitude, out=np.zeros_like(error), where=has_ratio)
        # An error of NaN (infinite by now) stays infinite; elsewhere infinity in both is no error.
        allowed = self._tolerance.absolute + self._tolerance.relative * np.where(np.isfinite(magnitude), magnitude, 0.0)
        excess = (error - allowed).reshape(answer.shape[0], -1).max(axis=1, initial=-math.inf)
        self._absolute = max(self._absolute, float(error.max(initial=0.0)))
        self._relative = max(self._relative, float(relative.max(initial=0.0)))
        worst = int(excess.argmax())
        if excess[worst] > self._excess:
            self._excess, self._row = float(excess[worst]), start + worst
        self._exceeded |= bool(excess[worst] > 0)

    @property
    def within(self) -> bool:
        return not self._exceeded and len(self._disagreeing_rows) <= self._tolerance.disagreeing_labels

    def report(self) -> OutputParity:
        return OutputParity(
            output=self._output,
            worst_absolute_error=self._absolute,
            worst_relative_error=self._relative,
            absolute_tolerance=self._tolerance.absolute,
            relative_tolerance=self._tolerance.relative,
            disagreeing_labels=len(self._disagreeing_rows),
            worst_row=self._row if self._exceeded or not self._disagreeing_rows else min(self._disagreeing_rows),
        )


def _are_indices(answer: Array) -> bool:
    """One whole number a row is a class: another one is wrong however near it is."""
    return answer.ndim == 1 and answer.dtype.kind in "iu"


def _another_class(answer: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where the graph's likeliest class is not among those that the source holds for the likeliest, ties included."""
    chosen = np.take_along_axis(expected, answer.argmax(axis=-1)[..., None], axis=-1)[..., 0]
    highest = expected.max(axis=-1)
    return np.asarray(chosen < highest - _TIE * np.abs(highest))


def _absolute_error(answer: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """|answer - expected|: 0 where both are the same infinity, infinite where either is NaN."""
    with np.errstate(invalid="ignore"):
        error = np.abs(answer - expected)
    error[answer == expected] = 0.0
    error[np.isnan(error)] = np.inf
    return error


def _absorb(seen: OutputParity, output: OutputParity, rows_before: int) -> None:
    if output.worst_absolute_error >= seen.worst_absolute_error:
        seen.worst_row = rows_before + output.worst_row
    seen.worst_absolute_error = max(seen.worst_absolute_error, output.worst_absolute_error)
    seen.worst_relative_error = max(seen.worst_relative_error, output.worst_relative_error)
    seen.absolute_tolerance = max(seen.absolute_tolerance, output.absolute_tolerance)
    seen.relative_tolerance = max(seen.relative_tolerance, output.relative_tolerance)
    seen.disagreeing_labels += output.disagreeing_labels
