"""Rows through a graph, by ONNX Runtime on the CPU, in batches of any size.

What goes wrong is a GraphError that names the rows. Comparing the answers with anything is `verify.py`'s concern.
"""

import re
from collections.abc import Iterator

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_errors

from exporter.arrays import Array, Rows
from exporter.errors import GraphError, ParityError
from exporter.foreign import told

WHOLE_BATCH_ROWS = 256

_UNKNOWN_OPERATOR = re.compile(r"([\w.]*):(\w+)\(-?\d+\) is not a registered function/op")
_RUNTIME_ERRORS = (
    runtime_errors.Fail,
    runtime_errors.InvalidArgument,
    runtime_errors.InvalidGraph,
    runtime_errors.InvalidProtobuf,
    runtime_errors.NotImplemented,
    runtime_errors.RuntimeException,
)


def open_session(graph: bytes) -> onnxruntime.InferenceSession:
    """A session on the CPU. Raises GraphError where ONNX Runtime does not take the graph."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what is wrong is in the exception; what converters leave unused is no news
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except _RUNTIME_ERRORS as error:
        raise GraphError(_not_loaded(error)) from error


def run_graph(graph: bytes, rows: Rows, batch_rows: int = WHOLE_BATCH_ROWS) -> dict[str, Array]:
    """The graph's outputs for all rows: output -> [N, ...]."""
    session = open_session(graph)
    answered = list(batches(session, rows, row_count_of(rows), batch_rows))
    return {name: np.concatenate([answers[name] for _, answers in answered]) for name in answered[0][1]}


def batches(
    session: onnxruntime.InferenceSession, rows: Rows, row_count: int, batch_rows: int
) -> Iterator[tuple[range, dict[str, Array]]]:
    """The answers of each batch, and which rows it holds. Raises GraphError where the graph does not run."""
    names = [output.name for output in session.get_outputs()]
    for start in range(0, row_count, batch_rows):
        asked = range(start, min(start + batch_rows, row_count))
        batch = {name: values[asked.start : asked.stop] for name, values in rows.items()}
        try:
            yield asked, dict(zip(names, session.run(names, batch), strict=True))
        except (*_RUNTIME_ERRORS, ValueError) as error:
            raise GraphError(
                f"the graph does not run on {len(asked)} row(s) from row {start} (ONNX Runtime: {told(error)})"
            ) from error


def row_count_of(rows: Rows) -> int:
    """Raises ParityError where the inputs have different numbers of rows, or none."""
    counts = {name: len(values) for name, values in rows.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise ParityError(f"every input needs the same number of rows, at least one: got {counts or 'no inputs'}")
    return next(iter(counts.values()))


def _not_loaded(error: Exception) -> str:
    if found := _UNKNOWN_OPERATOR.search(str(error)):
        library = f" of {found[1]}" if found[1] else ""
        return f"the graph uses the operator {found[2]}{library}, which ONNX Runtime does not have: build it without"
    return f"ONNX Runtime does not load the graph ({told(error)})"
