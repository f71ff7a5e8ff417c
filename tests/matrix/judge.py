"""Is what was published still the model that was trained? Judged without a line of the exporter's.

The exporter compares on rows that it has seen; this judge runs the published file in ONNX Runtime on rows that it has
not, all at once and one by one, and holds every element against what the source itself answered in its own process.
It also reads the file as a caller would: the names, and the dimensions that must vary.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from tests.matrix.case import Equal

_MADE_UP = re.compile(r"(unk__|Identity|output_?\d+$|keras_tensor|args_|StatefulPartitionedCall|serving_default)|:\d+$")
_ONE_BY_ONE_ROWS = 8
_ERRORS_ONLY = 3

Groups = Mapping[str, Mapping[str, np.ndarray]]


@dataclass(frozen=True, slots=True)
class Judgement:
    """`fault` is empty where the file answers as its source; else one line on the first thing that is not so."""

    rows: int
    worst_error: float
    fault: str = ""


def judge(graph: Path, fresh: Groups, answers: Groups, allowed: Equal, *, one_row: bool = False) -> Judgement:
    """Hold the graph's answers to `fresh` (group -> input -> rows) against `answers` (group -> output -> rows)."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    faults = list(_signature_faults(session, fresh, answers, one_row=one_row))
    rows, worst = 0, 0.0
    if not faults:
        for group, given in fresh.items():
            count = len(next(iter(given.values())))
            rows += count
            for batch in _batches(count, one_row=one_row):
                found = session.run(list(answers[group]), {name: values[batch] for name, values in given.items()})
                for (name, expected), answer in zip(answers[group].items(), found, strict=True):
                    error, fault = _compare(name, np.asarray(answer), expected[batch], allowed)
                    worst = max(worst, error)
                    if fault:
                        faults.append(f"{group}, rows {batch.start} to {batch.stop}, {fault}")
    return Judgement(rows, worst, faults[0] if faults else "")


def _batches(count: int, *, one_row: bool) -> Iterator[slice]:
    if not one_row:
        yield slice(0, count)
    for row in range(count if one_row else min(count, _ONE_BY_ONE_ROWS)):
        yield slice(row, row + 1)


def _signature_faults(
    session: onnxruntime.InferenceSession, fresh: Groups, answers: Groups, *, one_row: bool
) -> Iterator[str]:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    expected = set(next(iter(fresh.values()))), set(next(iter(answers.values())))
    found = {value.name for value in inputs}, {value.name for value in outputs}
    if found[0] != expected[0] or not expected[1] <= found[1]:
        yield f"the graph reads {sorted(found[0])} and answers {sorted(found[1])}, not {[*map(sorted, expected)]}"
    for value in (*inputs, *outputs):
        if made_up := [name for name in (value.name, *value.shape) if isinstance(name, str) and _MADE_UP.search(name)]:
            yield f"'{made_up[0]}' is a name that a converter made up"
        if not one_row and not isinstance(value.shape[0], str):
            yield f"'{value.name}' has a batch that does not vary: {value.shape}"


def _compare(name: str, answer: np.ndarray, expected: np.ndarray, allowed: Equal) -> tuple[float, str]:
    """The worst absolute error, and a line where it is too large.

    Classes need no comparison of their own: the likeliest can only be another one where the source itself has the two
    within twice the tolerance.
    """
    answer, expected = (values.reshape(len(values), -1).astype(np.float64) for values in (answer, expected))
    if answer.shape != expected.shape:
        return math.inf, f"'{name}': shape {answer.shape}, the source's is {expected.shape}"
    with np.errstate(invalid="ignore"):
        error = np.abs(answer - expected)
    same = (answer == expected) | (np.isnan(answer) & np.isnan(expected))
    error[same] = 0.0
    error[np.isnan(error)] = math.inf
    limit = allowed.absolute + allowed.relative * np.where(np.isfinite(expected), np.abs(expected), 0.0)
    worst = float(error.max(initial=0.0))
    if (error > limit).any():
        return worst, f"'{name}' is off by {worst:.2g} where at most {limit[error > limit].min():.2g} is allowed"
    return worst, ""
