"""A model of the user's own, from a file, a folder or a Python object to a published version.

The user says what no file says: a name, a task, what the numbers mean. The source is told apart by what it holds
(`sniff.py`), converted in a process of its own (`apart.py`), and compared here with the answers that it gave there
(`comparison.py`); what the manifest then lacks is found out or asked for (`found_out.py`). A source that runs code when
it is read is read only where the user says that the code is trusted.
"""

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from argosy.v1 import manifest_pb2 as pb
from exporter.apart import Limits, convert_apart
from exporter.arrays import Array
from exporter.comparison import Outcome, compare_all
from exporter.conversion import Conversion, Request
from exporter.errors import GraphError, ManifestError, ParityError, SourceError
from exporter.found_out import described_manifest, stated_inputs
from exporter.graph import check, parse
from exporter.judge import judged
from exporter.manifest import CLASS_ROLES
from exporter.optimise import optimisation
from exporter.parity import Tolerance
from exporter.parity_rows import PARITY_FILE, Comparison, kept
from exporter.publish import next_version, publish
from exporter.sniff import Kind, kind_of
from exporter.steps import Steps, taken

# The output of a model that has one, by what the task ends in: name, meaning, role.
_USUAL_OUTPUTS: Mapping[str, tuple[str, str, pb.OutputRole.ValueType]] = {
    "CLASSIFICATION": ("probabilities", "probability of each class", pb.OUTPUT_ROLE_PROBABILITIES),
    "REGRESSION": ("value", "the predicted number", pb.OUTPUT_ROLE_VALUE),
    "EMBEDDING": ("embedding", "the vector of a row", pb.OUTPUT_ROLE_EMBEDDING),
}


@dataclass(frozen=True, slots=True)
class Apart:
    """How conversions run: their limits, and the interpreter of the environment that has the framework."""

    limits: Limits = field(default_factory=Limits)
    interpreter: str = sys.executable
    show_log: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """What the user asks for. `described` is a manifest with whatever the user states; the rest is found out."""

    source: str
    described: pb.ModelManifest
    samples: Mapping[str, Array]  # input -> [N, ...], in the order of the model's inputs
    files: Mapping[str, bytes]
    tolerance: Tolerance
    trust_code: bool = False
    one_row_at_a_time: bool = False
    # One of sniff.FRAMEWORKS; empty: by what the source holds.
    framework: str = ""
    # Signs the version.
    key: Ed25519PrivateKey | None = None
    # Taken after the conversion; what comes out is compared with the source.
    steps: Steps = field(default_factory=Steps)
    # The right answers to the samples, where the figures are to be kept: [N].
    truth: Array | None = None
    apart: Apart = field(default_factory=Apart)

    # Input -> smallest and largest whole number that it takes.
    ranges: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    # The columns of a table that does not tell them.
    columns: tuple[str, ...] = ()
    # Modules that register what a file needs, and kinds of hard rows to leave out.
    imports: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Export:
    """A published version: its folder, and the manifest that it has."""

    folder: Path
    manifest: pb.ModelManifest


def export(order: Order, models_dir: Path) -> Path:
    """Convert, compare, publish. Returns the version's folder; raises ExportError and leaves nothing."""
    return export_and_report(order, models_dir).folder


def export_and_report(order: Order, models_dir: Path) -> Export:
    """As `export`, and the manifest besides."""
    order = _completed(order)
    converted, conversion, report = _proven(order)
    manifest = described_manifest(order.described, conversion, report, order.columns)
    _add_figures(manifest, order, converted.graph, conversion)
    if not manifest.version:
        manifest.version = next_version(models_dir, manifest.name)
    compared = kept([Comparison(rows.rows, rows.answers) for rows in conversion.row_sets])
    files = {**order.files, PARITY_FILE: compared}
    return Export(publish(manifest, conversion.graph, files, models_dir, order.key), manifest)


def _completed(order: Order) -> Order:
    """The usual output where none is described."""
    described = pb.ModelManifest()
    described.CopyFrom(order.described)
    if not described.tasks:
        raise ManifestError("state the task of the model: --task, or tasks in the description")
    kind = pb.Task.Name(described.tasks[0]).rsplit("_", 1)[-1]
    if not described.outputs:
        if kind not in _USUAL_OUTPUTS:
            raise ManifestError(f"describe the outputs: for {pb.Task.Name(described.tasks[0])} there is no usual one")
        name, meaning, role = _USUAL_OUTPUTS[kind]
        described.outputs.add(name=name, meaning=meaning, role=role)
    return replace(order, described=described)


def _proven(order: Order) -> tuple[Conversion, Conversion, pb.ParityReport]:
    """The first of the source's ways to a graph whose graph, after the steps, answers as the source; before and after.

    Raises ParityError if none does: it tells what the first way got wrong, since the others are ways around that.
    """
    converted, conversion, outcome = _tried(order, way=0)
    if outcome.passed:
        return converted, conversion, outcome.report
    for way in range(1, conversion.findings.ways):
        with suppress(SourceError, GraphError):
            other, finished, found = _tried(order, way)
            if found.passed:
                return other, finished, found.report
    raise ParityError(outcome.what_is_wrong(conversion.findings.hazards))


def _tried(order: Order, way: int) -> tuple[Conversion, Conversion, Outcome]:
    """What one way comes to: converted, after the steps, compared."""
    converted = _convert(order, way)
    conversion = replace(converted, graph=taken(converted.graph, order.steps))
    return converted, conversion, compare_all(conversion, _class_outputs(order), order.tolerance)


def _convert(order: Order, way: int) -> Conversion:
    kind = kind_of(order.source)
    if order.framework:
        kind = Kind(order.framework, kind.runs_code)
    if kind.runs_code and not order.trust_code:
        raise SourceError(f"loading {order.source} runs the code in it: say --trust-code if it is yours")
    request = Request(
        source=order.source,
        framework=kind.framework,
        output_names=tuple(output.name for output in order.described.outputs),
        stated=tuple(stated_inputs(order.described.inputs)),
        ranges=order.ranges,
        trust_code=order.trust_code,
        one_row_at_a_time=order.one_row_at_a_time,
        imports=order.imports,
        without=order.without,
        way=way,
    )
    apart = order.apart
    conversion = convert_apart(request, order.samples, apart.limits, apart.interpreter, show_log=apart.show_log)
    check(parse(conversion.graph))
    return conversion


def _add_figures(manifest: pb.ModelManifest, order: Order, before: bytes, conversion: Conversion) -> None:
    """What the right answers tell of the graph, and what the steps did to it."""

    def figures(graph: bytes) -> list[pb.Metric]:
        return [] if order.truth is None else judged(manifest, graph, order.samples, order.truth, "the sample rows")

    manifest.metrics.extend(figures(conversion.graph))
    if order.steps.names():
        rows = conversion.row_sets[0].rows
        manifest.optimisation.CopyFrom(optimisation(order.steps, before, conversion.graph, rows, figures(before)))


def _class_outputs(order: Order) -> list[str]:
    return [output.name for output in order.described.outputs if output.role in CLASS_ROLES]
