"""A conversion held against its source on every kind of rows, and what to say where they differ.

One graph, many sets of rows: each is compared by itself, so that a failure names the kind, and all go into one report
with the kinds that were tried and those that the source itself does not take.
"""

from collections.abc import Collection
from dataclasses import dataclass

from argosy.v1.manifest_pb2 import ParityReport, RowKind
from exporter.arrays import Array
from exporter.conversion import Conversion, Findings, RowSet
from exporter.errors import ExportError, GraphError, ParityError
from exporter.parity import Tolerance, describe_failure, merge, worst_of
from exporter.sources.hard_rows import SAMPLES
from exporter.verify import compare


@dataclass(frozen=True, slots=True)
class Outcome:
    """The report over all kinds, and what the first kind that failed says, and which it is; empty where all passed.

    `brief` says it in a few words, for a report in which it is no news.
    """

    report: ParityReport
    failure: str = ""
    brief: str = ""
    kind: str = ""

    @property
    def passed(self) -> bool:
        return not self.failure

    def what_is_wrong(self, findings: Findings) -> str:
        """One line: the failure, and the causes that are known for such a source with their remedies."""
        hazards = (*findings.hazards, *(findings.hazards_of_samples if self.kind == SAMPLES else ()))
        known = f"; known to cause this: {'; '.join(hazards)}" if hazards else ""
        return f"the graph does not answer as its source: {self.failure}{known}"


def compare_all(
    conversion: Conversion,
    class_outputs: Collection[str],
    tolerance: Tolerance,
    index_outputs: Collection[str] = (),
) -> Outcome:
    """Compare on every set of rows. A graph that does not run on one is a failure of that kind."""
    allowed = tolerance.fitted([rows.answers for rows in conversion.row_sets], class_outputs)
    reports, failure, brief, failed = [], "", "", ""
    for rows in conversion.row_sets:
        try:
            report = _compare(conversion, rows, class_outputs, allowed, index_outputs)
        except (GraphError, ParityError) as error:
            what = _plain(error)
            return Outcome(ParityReport(), f"rows of kind '{rows.kind}': {what}", what.split(" (", 1)[0], rows.kind)
        reports.append(report)
        if not report.passed and not failure:
            failed = rows.kind
            failure = f"rows of kind '{rows.kind}': {describe_failure(report)}{_row(rows, report)}"
            brief = f"rows of kind '{rows.kind}' are off by {worst_of(report).worst_absolute_error:.2g}"
    merged = merge(reports, allowed)
    if not merged.passed and not failure:
        failure, brief = _in_all(merged, allowed)
    parts = [*conversion.preceding, conversion.provenance]
    merged.reference = ", then ".join(f"{part.framework} {part.framework_version}" for part in parts)
    merged.kinds.extend(RowKind(kind=rows.kind, row_count=_count(rows)) for rows in conversion.row_sets)
    merged.kinds.extend(RowKind(kind=kind.kind, not_applicable=kind.reason) for kind in conversion.not_applicable)
    return Outcome(merged, failure, brief, failed)


def _compare(
    conversion: Conversion,
    rows: RowSet,
    class_outputs: Collection[str],
    tolerance: Tolerance,
    index_outputs: Collection[str],
) -> ParityReport:
    return compare(
        conversion.graph,
        rows.rows,
        rows.answers,
        tolerance,
        described=conversion.provenance.framework,
        class_outputs=class_outputs,
        index_outputs=index_outputs,
    )


def _in_all(merged: ParityReport, tolerance: Tolerance) -> tuple[str, str]:
    """What is wrong, in a line and in brief, where each kind by itself has few enough rows with another class."""
    worst = max(merged.outputs, key=lambda output: output.disagreeing_labels)
    brief = f"{worst.disagreeing_labels} rows of all kinds have another class"
    return f"output '{worst.output}': {brief} (allowed {tolerance.disagreeing_labels})", brief


def _row(rows: RowSet, report: ParityReport) -> str:
    """The worst row itself, where it is short enough to be read."""
    worst = worst_of(report).worst_row
    told = ", ".join(f"{name} = {_short(values[worst])}" for name, values in list(rows.rows.items())[:4])
    return f"; the row: {told}" if len(told) <= 200 else ""


def _short(values: Array) -> str:
    return " ".join(str(values.tolist()).split())


def _count(rows: RowSet) -> int:
    return len(next(iter(rows.rows.values())))


def _plain(error: ExportError) -> str:
    return " ".join(str(error).split())
