"""Is the exported graph still the model that was trained?

Converters fail silently: a valid graph with wrong numbers is the common case. So every graph runs in ONNX Runtime on
rows that the model has not seen, in batches of several sizes (a batch that was frozen at export shows here), and every
element of every output is held against the source's own answer. The outcome is a report: the publisher decides.

What cannot be reported as a number (an output that is missing, another shape, a graph that does not run) is raised.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import TypeAlias

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_errors

from argosy.v1.manifest_pb2 import ParityReport
from exporter.errors import GraphError, ParityError
from exporter.parity import DEFAULT_TOLERANCE, Array, Tolerance, WorstError

Rows: TypeAlias = Mapping[str, Array]

WHOLE_BATCH_ROWS = 256
# A frozen batch, or one that leaks between rows, shows within the first rows: these need not run over all of them.
PROBED_ROWS = 35
PROBE_BATCH_ROWS = (1, 7)

_RUNTIME_ERRORS = (
    runtime_errors.Fail,
    runtime_errors.InvalidArgument,
    runtime_errors.InvalidGraph,
    runtime_errors.InvalidProtobuf,
    runtime_errors.NotImplemented,
    runtime_errors.RuntimeException,
)


def compare(
    graph: bytes,
    rows: Rows,
    reference: Rows,
    tolerance: Tolerance = DEFAULT_TOLERANCE,
    *,
    described: str,
    class_outputs: Collection[str] = (),
) -> ParityReport:
    """Run `graph` on `rows` (input -> [N, ...]) and hold it against `reference` (output -> [N, ...]).

    `described` says what the reference is; `class_outputs` are those whose last axis is over classes. Raises GraphError
    where the graph does not run, ParityError where an output is missing or has another shape.
    """
    session = open_session(graph)
    row_count = _row_count(rows)
    missing = [name for name in (output.name for output in session.get_outputs()) if name not in reference]
    if missing:
        raise ParityError(f"output '{missing[0]}' has no reference to be compared with")
    parities = {name: WorstError(name, tolerance, name in class_outputs) for name in reference}
    for start, answers in _answers(session, rows, row_count):
        for name, worst in parities.items():
            if name not in answers:
                raise ParityError(f"the graph has no output '{name}': it has {', '.join(sorted(answers))}")
            worst.add(start, answers[name], reference[name])
    return ParityReport(
        passed=all(worst.within for worst in parities.values()),
        row_count=row_count,
        outputs=[worst.report() for worst in parities.values()],
        reference=described,
    )


def open_session(graph: bytes) -> onnxruntime.InferenceSession:
    """A session on the CPU. Raises GraphError where ONNX Runtime does not take the graph."""
    try:
        return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    except _RUNTIME_ERRORS as error:
        raise GraphError(f"ONNX Runtime does not load the graph: {_first_line(error)}") from error


def run_graph(graph: bytes, rows: Rows, batch_rows: int = WHOLE_BATCH_ROWS) -> dict[str, Array]:
    """The graph's outputs for all rows: output -> [N, ...]."""
    session = open_session(graph)
    batches = list(_batches(session, rows, _row_count(rows), batch_rows))
    return {name: np.concatenate([answers[name] for _, answers in batches]) for name in batches[0][1]}


def _answers(
    session: onnxruntime.InferenceSession, rows: Rows, row_count: int
) -> Iterator[tuple[int, dict[str, Array]]]:
    """The answers of every batching: all rows in large batches, the first ones again in small batches."""
    if _takes_one_row(session):
        yield from _batches(session, rows, row_count, 1)
        return
    yield from _batches(session, rows, row_count, WHOLE_BATCH_ROWS)
    for batch_rows in PROBE_BATCH_ROWS:
        yield from _batches(session, rows, min(row_count, PROBED_ROWS), batch_rows)


def _batches(
    session: onnxruntime.InferenceSession, rows: Rows, row_count: int, batch_rows: int
) -> Iterator[tuple[int, dict[str, Array]]]:
    names = [output.name for output in session.get_outputs()]
    for start in range(0, row_count, batch_rows):
        batch = {name: values[start : min(start + batch_rows, row_count)] for name, values in rows.items()}
        try:
            yield start, dict(zip(names, session.run(names, batch), strict=True))
        except (*_RUNTIME_ERRORS, ValueError) as error:
            count = min(batch_rows, row_count - start)
            raise GraphError(
                f"the graph does not run on {count} row(s) from row {start}: {_first_line(error)}"
            ) from error


def _takes_one_row(session: onnxruntime.InferenceSession) -> bool:
    return all(list(value.shape[:1]) == [1] for value in session.get_inputs())


def _row_count(rows: Rows) -> int:
    counts = {name: len(values) for name, values in rows.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise ParityError(f"every input needs the same number of rows, at least one: got {counts or 'no inputs'}")
    return next(iter(counts.values()))


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:300]
