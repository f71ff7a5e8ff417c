"""How far two answers to the same rows are apart, in the terms of argosy.v1.ParityReport.

NaN is never equal to anything here, NaN included: a model that answers NaN is not one to publish. This module knows
arrays alone; what produced them is `verify.py`'s concern.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from argosy.v1.manifest_pb2 import OutputParity, ParityReport
from exporter.arrays import Array, Rows
from exporter.errors import ParityError

__all__ = [
    "DEFAULT_TOLERANCE",
    "USUAL_ABSOLUTE",
    "Array",
    "Tolerance",
    "WorstError",
    "describe_failure",
    "largest_of",
    "merge",
    "usual_absolute",
    "worst_of",
]

USUAL_ABSOLUTE = 1e-5
# Of an output's largest number: what USUAL_ABSOLUTE is cut down to where the output is small by nature.
_SHARE_OF_LARGEST = 1e-4

# Below this magnitude a relative error says nothing: the proto's comment states the same number.
RELATIVE_FLOOR = 1e-6
# Classes nearer to each other than float32 can tell apart are equally likely.
_TIE = 5e-7


@dataclass(frozen=True, slots=True)
class Tolerance:
    """An element passes where |graph - reference| <= absolute + relative * |reference|.

    `absolute` is None where nobody states it: USUAL_ABSOLUTE, and less of outputs that are small by nature.
    `disagreeing_labels` rows may have another likeliest class: 0 unless the source is itself uncertain (quantised).
    """

    absolute: float | None = None
    relative: float = 1e-4
    disagreeing_labels: int = 0
    # Output -> what is allowed of it in place of `absolute`.
    absolutes: Mapping[str, float] = field(default_factory=dict)

    def absolute_of(self, output: str) -> float:
        return self.absolutes.get(output, USUAL_ABSOLUTE if self.absolute is None else self.absolute)

    def fitted(self, references: Iterable[Rows], class_outputs: Collection[str]) -> "Tolerance":
        """The same, with less room for outputs that are small in all of `references`; as it is where it is stated.

        Classes are compared as such besides, so that theirs may be near to each other.
        """
        if self.absolute is not None or self.absolutes:
            return self
        found: dict[str, float] = {}
        for reference in references:
            for name, answers in reference.items():
                if answers.dtype.kind == "f" and name not in class_outputs:
                    found[name] = max(found.get(name, 0.0), largest_of(answers))
        return replace(self, absolutes={name: usual_absolute(largest) for name, largest in found.items()})


DEFAULT_TOLERANCE = Tolerance()


def usual_absolute(largest: float) -> float:
    """What is allowed besides the relative tolerance in numbers of which none is larger, where nobody states it."""
    return min(USUAL_ABSOLUTE, _SHARE_OF_LARGEST * largest) if largest else USUAL_ABSOLUTE


def largest_of(answers: Array) -> float:
    """The largest magnitude among the finite numbers; 0 where there are none."""
    magnitude = np.abs(answers.astype(np.float64))
    return float(magnitude.max(initial=0.0, where=np.isfinite(magnitude)))


def merge(reports: Sequence[ParityReport], tolerance: Tolerance) -> ParityReport:
    """One report of several comparisons of one graph (other lengths, hard rows): the worst of each output.

    The rows with another class count together: `tolerance` allows them once, and not anew for each comparison.
    """
    merged = ParityReport(passed=bool(reports) and all(report.passed for report in reports))
    worst: dict[str, OutputParity] = {}
    for report in reports:
        for output in report.outputs:
            seen = worst.setdefault(output.output, OutputParity(output=output.output))
            _absorb(seen, output, rows_before=merged.row_count)
        merged.row_count += report.row_count
    merged.outputs.extend(worst.values())
    merged.passed &= all(seen.disagreeing_labels <= tolerance.disagreeing_labels for seen in worst.values())
    merged.reference = "; ".join(dict.fromkeys(report.reference for report in reports))
    return merged


def describe_failure(parity: ParityReport) -> str:
    """The worst output in words: its name, the row, how far off."""
    worst = worst_of(parity)
    others = [output for output in parity.outputs if output.disagreeing_labels and output.output != worst.output]
    more = "".join(f"; output '{other.output}': {other.disagreeing_labels} rows" for other in others)
    return (
        f"output '{worst.output}', row {worst.worst_row}: off by {worst.worst_absolute_error:.3g}"
        f" (allowed {worst.absolute_tolerance:.3g} + {worst.relative_tolerance:.3g} × |reference|),"
        f" {worst.disagreeing_labels} of {parity.row_count} rows with another class{more}; against {parity.reference}"
    )


def worst_of(parity: ParityReport) -> OutputParity:
    """The output that is farthest off, each measured by what is allowed of it."""

    def badness(output: OutputParity) -> tuple[float, int]:
        allowed = output.absolute_tolerance or USUAL_ABSOLUTE
        return output.worst_absolute_error / allowed, output.disagreeing_labels

    return max(parity.outputs, key=badness)


class WorstError:
    """The worst of one output over all batches. The same row may come more than once, in batches of other sizes."""

    def __init__(self, output: str, tolerance: Tolerance, *, has_classes: bool, is_class: bool = False) -> None:
        """`has_classes`: its last axis is over classes. `is_class`: each of its numbers is a class."""
        self._exceeded = False
        self._output = output
        self._tolerance = tolerance
        self._absolute_tolerance = tolerance.absolute_of(output)
        self._has_classes, self._is_class = has_classes, is_class
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
        if answer.dtype.kind in "OUS" or expected.dtype.kind in "OUS":
            self._add_labels(asked.start, answer.astype(str), expected.astype(str))
        elif self._is_class or _are_indices(answer):
            self._add_labels(asked.start, _whole(answer), _whole(expected))
        else:
            self._add_numbers(asked.start, answer.astype(np.float64), expected.astype(np.float64))

    def _add_labels(self, start: int, answer: Array, expected: Array) -> None:
        differs = (answer != expected).reshape(answer.shape[0], -1).any(axis=1)
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
        allowed = self._absolute_tolerance + self._tolerance.relative * np.where(np.isfinite(magnitude), magnitude, 0.0)
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
            absolute_tolerance=self._absolute_tolerance,
            relative_tolerance=self._tolerance.relative,
            disagreeing_labels=len(self._disagreeing_rows),
            worst_row=self._row if self._exceeded or not self._disagreeing_rows else min(self._disagreeing_rows),
        )


def _are_indices(answer: Array) -> bool:
    """One whole number a row is a class: another one is wrong however near it is."""
    return answer.ndim == 1 and answer.dtype.kind in "iu"


def _whole(classes: Array) -> Array:
    """The nearest classes: NaN is none, and unlike itself."""
    return np.asarray(np.rint(classes)) if classes.dtype.kind == "f" else classes


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
