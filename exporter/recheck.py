"""Is a published version still what was proven? Its digests again, and its graph against the source's kept answers.

The source and its framework are not needed: PARITY_FILE has rows and what the source said to them. What was compared
at export were more rows; here the point is this machine, this ONNX Runtime, these bytes.
"""

from dataclasses import dataclass
from pathlib import Path

from argosy.v1 import manifest_pb2 as pb
from exporter import parity_rows
from exporter.errors import ExportError, ParityError
from exporter.manifest import CLASS_ROLES, INDEX_ROLES, outputs_of
from exporter.parity import Tolerance, describe_failure, merge
from exporter.published import Published, read_published
from exporter.verify import compare

KEPT_ANSWERS = "the source's kept answers"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one version. `failure` is a sentence, empty where all is right.

    `parity` is None where the version has no rows to compare on.
    """

    model: str
    version: str
    file_count: int
    parity: pb.ParityReport | None
    failure: str = ""


def recheck(folder: Path) -> Finding:
    """Look at one version; nothing is raised for what is wrong with it."""
    model, version = folder.parent.name, folder.name
    try:
        published = read_published(folder)
        report = compared_again(published)
    except ExportError as error:
        return Finding(model, version, 0, None, str(error))
    failure = "" if report is None or report.passed else describe_failure(report)
    return Finding(model, version, len(published.files), report, failure)


def compared_again(published: Published) -> pb.ParityReport | None:
    """The graph against the kept answers, within the tolerance that the manifest states; None without a PARITY_FILE."""
    if not published.manifest.parity.passed:
        raise ParityError("the manifest says that it was not proven equal to its source")
    if parity_rows.PARITY_FILE not in published.files:
        return None
    graph, tolerance = published.graph(), stated_tolerance(published.manifest)
    outputs = published.manifest.outputs
    reports = [
        compare(
            graph,
            kept.rows,
            kept.reference,
            tolerance,
            described=KEPT_ANSWERS,
            class_outputs=outputs_of(outputs, CLASS_ROLES),
            index_outputs=outputs_of(outputs, INDEX_ROLES),
        )
        for kept in parity_rows.read(published.files[parity_rows.PARITY_FILE])
    ]
    return merge(reports, tolerance)


def stated_tolerance(manifest: pb.ModelManifest) -> Tolerance:
    """What was allowed of each output at export, and as many other labels as were found then."""
    outputs = manifest.parity.outputs
    return Tolerance(
        absolute=max(output.absolute_tolerance for output in outputs),
        absolutes={output.output: output.absolute_tolerance for output in outputs},
        relative=max(output.relative_tolerance for output in outputs),
        disagreeing_labels=max(output.disagreeing_labels for output in outputs),
    )
