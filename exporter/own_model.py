"""A model of the user's own, from a file, a folder or a Python object to a published version.

The user says what no file says: a name, a task, what the numbers mean. The source is told apart by what it holds
(`sniff.py`), converted in a process of its own (`apart.py`), alone or behind others in one graph (`chain.py`), and
compared here with the answers that it gave there (`comparison.py`); what the manifest then lacks is found out or asked
for (`found_out.py`). A source that runs code when it is read is read only where the user says that the code is trusted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from argosy.v1 import manifest_pb2 as pb
from exporter.added_outputs import AddedOutput, with_outputs
from exporter.apart import Apart
from exporter.arrays import Array
from exporter.chain import Part, convert_part, other_ways, preceding
from exporter.comparison import Outcome, compare_all
from exporter.conversion import LONGEST, Conversion, Request
from exporter.detections import check_detections
from exporter.errors import ParityError, SourceError
from exporter.found_out import check_labels, described_manifest, stated_inputs, token_lengths
from exporter.judge import judged
from exporter.k_fold import CANNOT_BE_FITTED, Ask, k_fold
from exporter.labelled import Labelled
from exporter.labelled import kept as kept_labelled
from exporter.manifest import CLASS_ROLES, INDEX_ROLES, outputs_of
from exporter.mended import told_of
from exporter.normalisation import Normalisation
from exporter.optimise import optimisation, require_labelled
from exporter.padding import how_padded, padding_read_by_graph, without_padded
from exporter.parity import Tolerance
from exporter.parity_rows import PARITY_FILE, Comparison, kept
from exporter.probabilities import check_roles
from exporter.publish import next_version, publish
from exporter.sniff import OBJECT, PICKLE, Kind, kind_of
from exporter.steps import Steps, taken
from exporter.usual_outputs import with_usual_output

# What another way's graph was given up for, in brief.
_READS_PADDING = "padding is read"


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
    # The right answers to the samples, by which the graph is judged: [N].
    truth: Array | None = None
    # Fit the source anew for so many folds of the samples and judge each one's graph; 0: do not.
    folds: int = 0
    # The user states that there are no rows whose right answers are known.
    unlabelled: bool = False
    apart: Apart = field(default_factory=Apart)

    # Input -> smallest and largest whole number that it takes.
    ranges: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    # The columns of a table that does not tell them.
    columns: tuple[str, ...] = ()
    # Modules that register what a file needs, and kinds of hard rows to leave out.
    imports: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    # Sources that run before this one in the same graph, in their order; the first reads the samples.
    preprocess: tuple[Part, ...] = ()
    # What the graph does to the numbers of its one input before anything else.
    normalisation: Normalisation | None = None
    # Outputs that are computed of the model's own.
    added: tuple[AddedOutput, ...] = ()


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
    proven = _proven(order)
    conversion = without_padded(proven.conversion)
    check_roles(order.described.outputs, conversion.row_sets)
    check_detections(order.described.outputs, conversion.row_sets)
    check_labels(order.described.labels, conversion.findings.labels)
    mended = told_of(conversion, _class_outputs(order), order.tolerance, _index_outputs(order))
    manifest = described_manifest(order.described, conversion, proven.outcome.report, mended, order.columns)
    labelled = _labelled(order, conversion)
    _add_figures(manifest, order, proven, labelled)
    if not manifest.version:
        manifest.version = next_version(models_dir, manifest.name)
    # The longest rows would make the file a large one.
    compared = kept([Comparison(rows.rows, rows.answers) for rows in conversion.row_sets if rows.kind != LONGEST])
    files = {**order.files, PARITY_FILE: compared, **({} if labelled is None else kept_labelled(labelled))}
    return Export(publish(manifest, conversion.graph, files, models_dir, order.key), manifest)


def _completed(order: Order) -> Order:
    """The usual output where none is described, and the added ones."""
    described = with_usual_output(order.described, order.added)
    if order.steps.names():
        require_labelled(described, is_labelled=order.truth is not None, unlabelled=order.unlabelled)
    return replace(order, described=described)


@dataclass(frozen=True, slots=True)
class _Tried:
    """What one way comes to: as it was converted, after the steps, and how both compare with the source.

    `padding` says that the graph reads padding; empty where it does not, and where the outcome tells enough.
    """

    request: Request
    converted: bytes
    conversion: Conversion
    outcome: Outcome
    padding: str = ""

    @property
    def passed(self) -> bool:
        return self.outcome.passed and not self.padding

    def in_place_of(self, first: "_Tried") -> "_Tried":
        """The same, whose remedies say what the first way came to."""
        mends = tuple(replace(mend, wrong=first.outcome.brief or _READS_PADDING) for mend in self.conversion.mends)
        return replace(self, conversion=replace(self.conversion, mends=mends))


def _proven(order: Order) -> _Tried:
    """The first of the source's ways to a graph whose graph, after the steps, answers as the source.

    Raises ParityError if none does: it tells what the first way got wrong, since the others are ways around that. What
    the source itself gets wrong no other way mends.
    """
    *before, last = _requests(order)
    aparts = [replace(order.apart, interpreter=part.interpreter) for part in order.preprocess]
    parts = preceding(list(zip(before, aparts, strict=True)), order.samples, order.tolerance)
    first = _tried(order, parts, last)
    findings = first.conversion.findings
    if order.folds and (order.preprocess or not findings.fits_again):
        raise SourceError(CANNOT_BE_FITTED)
    if first.passed:
        return first
    for other in other_ways(findings, lambda way: _tried(order, parts, replace(last, way=way))):
        if other.passed:
            return other.in_place_of(first)
    raise ParityError(first.padding or first.outcome.what_is_wrong(findings))


def _tried(order: Order, before: Conversion | None, request: Request) -> _Tried:
    own = convert_part(request, before, order.samples, order.apart)
    converted = with_outputs(own, order.added, order.described.labels or own.findings.labels)
    conversion = replace(converted, graph=taken(converted.graph, order.steps))
    outcome = compare_all(without_padded(conversion), _class_outputs(order), order.tolerance, _index_outputs(order))
    compared = conversion, _class_outputs(order), order.tolerance, _index_outputs(order)
    padding = padding_read_by_graph(*compared) if outcome.passed else ""
    return _Tried(request, converted.graph, conversion, outcome, padding)


def _requests(order: Order) -> list[Request]:
    """For each part in the order in which they run: the first reads what callers give, the last is the source."""
    sources = [*(part.source for part in order.preprocess), order.source]
    requests = [
        Request(
            source=source,
            framework=_kind(source, order).framework,
            trust_code=order.trust_code,
            one_row_at_a_time=order.one_row_at_a_time,
            imports=order.imports,
            without=order.without,
            preceding=Path(before).name,
        )
        for before, source in zip(["", *sources], sources, strict=False)
    ]
    stated = tuple(stated_inputs(order.described.inputs))
    masked = how_padded(order.described.text.tokens, one_row=order.one_row_at_a_time)
    requests[0] = replace(
        requests[0],
        stated=stated,
        ranges=order.ranges,
        lengths=token_lengths(order.described),
        masked=masked,
        normalisation=order.normalisation,
    )
    requests[-1] = replace(requests[-1], output_names=_own_outputs(order))
    return requests


def _kind(source: str, order: Order) -> Kind:
    """What it is read as: objects and pickles as what they are, for they tell their framework by themselves."""
    kind = kind_of(source)
    if kind.runs_code and not order.trust_code:
        raise SourceError(f"loading {source} runs the code in it: say --trust-code if it is yours")
    tells_itself = kind.framework == OBJECT or (kind.framework == PICKLE and order.framework != "pytorch")
    is_stated = order.framework and source == order.source and not tells_itself
    return Kind(order.framework, kind.runs_code) if is_stated else kind


def _labelled(order: Order, conversion: Conversion) -> Labelled | None:
    """The samples as the graph takes them, with their right answers."""
    return None if order.truth is None else Labelled(conversion.row_sets[0].rows, order.truth, "the sample rows")


def _add_figures(manifest: pb.ModelManifest, order: Order, proven: _Tried, labelled: Labelled | None) -> None:
    """What the right answers tell of the graph and of its way of training, and what the steps did to it."""
    if labelled is not None:
        judged(manifest, proven.conversion.graph, labelled).keep(manifest)
    if order.steps.names():
        rows = proven.conversion.row_sets[0].rows
        graphs = proven.converted, proven.conversion.graph
        manifest.optimisation.CopyFrom(optimisation(manifest, order.steps, *graphs, timed=rows, labelled=labelled))
    if labelled is not None and order.folds:
        ask = Ask(proven.request, order.samples, order.apart, order.steps, order.tolerance)
        manifest.metrics.extend(k_fold(ask, manifest, labelled, order.folds))


def _own_outputs(order: Order) -> tuple[str, ...]:
    """The described outputs that the model itself answers."""
    added = {output.name for output in order.added}
    return tuple(output.name for output in order.described.outputs if output.name not in added)


def _class_outputs(order: Order) -> list[str]:
    return outputs_of(order.described.outputs, CLASS_ROLES)


def _index_outputs(order: Order) -> list[str]:
    return outputs_of(order.described.outputs, INDEX_ROLES)
