"""Is the exported graph still the model that was trained?

Converters fail silently: a valid graph with wrong numbers is the common case. So every graph runs in ONNX Runtime on
rows that the model has not seen, in batches of several sizes (a batch that was frozen at export shows here), and every
element of every output is held against the source's own answer. The outcome is a report: the publisher decides.

What cannot be reported as a number (an output that is missing, another shape, a graph that does not run, a row whose
answer depends on the rows beside it) is raised.
"""

from collections.abc import Collection, Iterator

import onnxruntime

from argosy.v1.manifest_pb2 import ParityReport
from exporter.arrays import Array, Rows
from exporter.errors import ParityError
from exporter.independence import require_independent, usual_of, with_company
from exporter.parity import DEFAULT_TOLERANCE, Tolerance, WorstError
from exporter.run_graph import WHOLE_BATCH_ROWS, batches, open_session, row_count_of, run_graph

__all__ = ["Rows", "compare", "open_session", "run_graph"]

# A frozen batch, or one that leaks between rows, shows within the first rows: these need not run over all of them.
PROBED_ROWS = 35
PROBE_BATCH_ROWS = (1, 7)


def compare(
    graph: bytes,
    rows: Rows,
    reference: Rows,
    tolerance: Tolerance = DEFAULT_TOLERANCE,
    *,
    described: str,
    class_outputs: Collection[str] = (),
    index_outputs: Collection[str] = (),
) -> ParityReport:
    """Run `graph` on `rows` (input -> [N, ...]) and hold it against `reference` (output -> [N, ...]).

    `described` says what the reference is; `class_outputs` are those whose last axis is over classes, `index_outputs`
    those whose every number is a class. Raises GraphError where the graph does not run, ParityError where an output is
    missing, has another shape or depends on the batch.
    """
    session = open_session(graph)
    row_count = row_count_of(rows)
    missing = [name for name in (output.name for output in session.get_outputs()) if name not in reference]
    if missing:
        raise ParityError(f"output '{missing[0]}' has no reference to be compared with")
    allowed = tolerance.fitted([reference], class_outputs)
    parities = {
        name: WorstError(name, allowed, has_classes=name in class_outputs, is_class=name in index_outputs)
        for name in reference
    }
    whole_batch: dict[str, Array] = {}
    usual: dict[str, float] = {}
    for asked, answers in _answers(session, rows, row_count):
        for name, worst in parities.items():
            if name not in answers:
                raise ParityError(f"the graph has no output '{name}': it has {', '.join(sorted(answers))}")
            worst.add(asked, answers[name], reference[name])
        if not whole_batch:
            whole_batch, usual = answers, usual_of(answers)
        require_independent(whole_batch, usual, asked, answers)
    if row_count == 1 and not _takes_one_row(session):
        [(_, among)] = batches(session, with_company(rows), 2, 2)
        require_independent(among, usual_of(among), range(1), whole_batch)
    return ParityReport(
        passed=all(worst.within for worst in parities.values()),
        row_count=row_count,
        outputs=[worst.report() for worst in parities.values()],
        reference=described,
    )


def _answers(
    session: onnxruntime.InferenceSession, rows: Rows, row_count: int
) -> Iterator[tuple[range, dict[str, Array]]]:
    """The answers of every batching: all rows in large batches, the first ones again in small batches."""
    if _takes_one_row(session):
        yield from batches(session, rows, row_count, 1)
        return
    yield from batches(session, rows, row_count, WHOLE_BATCH_ROWS)
    for batch_rows in PROBE_BATCH_ROWS:
        yield from batches(session, rows, min(row_count, PROBED_ROWS), batch_rows)


def _takes_one_row(session: onnxruntime.InferenceSession) -> bool:
    return all(list(value.shape[:1]) == [1] for value in session.get_inputs())
