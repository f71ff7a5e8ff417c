"""A published version made smaller or faster: proven against the source's answers, judged beside the one it is from.

It becomes a version of its own; the one that it is from stays as it is. Nothing over the tolerance that the user states
is published. Speed is measured in alternating runs of both graphs on this machine and kept as a ratio: it is for a
person to read, and decides nothing.
"""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from argosy.v1 import manifest_pb2 as pb
from exporter import labelled as labelled_rows
from exporter import parity_rows
from exporter.arrays import Array, Rows
from exporter.errors import ManifestError
from exporter.graph import opset_of, parse
from exporter.judge import Judged, judged, judged_output
from exporter.labelled import Labelled
from exporter.manifest import CLASS_ROLES, GRAPH_FILE, INDEX_ROLES, outputs_of
from exporter.parity import Tolerance, merge
from exporter.parity_rows import PARITY_FILE, Comparison
from exporter.publish import next_version, publish
from exporter.published import Published, read_published
from exporter.recheck import KEPT_ANSWERS
from exporter.run_graph import open_session, run_graph
from exporter.steps import Steps, taken
from exporter.verify import compare

_TIMED_PAIRS = 40
# Why no figures stand beside each other.
_UNLABELLED = "the user states that no rows with right answers exist"
_NO_RIGHT_ANSWERS = "no output can be right or wrong"


@dataclass(frozen=True, slots=True)
class OptimiseOrder:
    """What to do to the version in `folder`.

    `samples` are rows to compare on besides those that were kept; `truth` are the right answers to them. `unlabelled`
    is the user's word that there are no rows whose right answers are known.
    """

    folder: Path
    steps: Steps
    tolerance: Tolerance
    samples: Rows | None = None
    truth: Array | None = None
    unlabelled: bool = False
    key: Ed25519PrivateKey | None = None


@dataclass(frozen=True, slots=True)
class Optimised:
    """The version that came out; its manifest has the figures of the one that it is from, on the same rows."""

    folder: Path
    manifest: pb.ModelManifest


def optimise(order: OptimiseOrder, models_dir: Path) -> Optimised:
    """Take the steps, compare, judge, publish. Raises ExportError and leaves nothing."""
    published = read_published(order.folder)
    labelled = _labelled(published, order)
    require_labelled(published.manifest, is_labelled=labelled is not None, unlabelled=order.unlabelled)
    before = published.graph()
    after = taken(before, order.steps)
    comparisons = _comparisons(published, before, order.samples)
    manifest = pb.ModelManifest()
    manifest.CopyFrom(published.manifest)
    manifest.version = next_version(models_dir, manifest.name)
    manifest.source.opset = opset_of(parse(after))
    manifest.parity.CopyFrom(_parity(manifest, after, comparisons, order.tolerance))
    (Judged(()) if labelled is None else judged(manifest, after, labelled)).keep(manifest)
    made = optimisation(manifest, order.steps, before, after, timed=comparisons[0][1].rows, labelled=labelled)
    made.from_version = order.folder.name
    manifest.optimisation.CopyFrom(made)
    return Optimised(publish(manifest, after, _others(published.files), models_dir, order.key), manifest)


def require_labelled(manifest: pb.ModelManifest, *, is_labelled: bool, unlabelled: bool) -> None:
    """Raises ManifestError where a change of the graph could be judged, and nobody gave the rows to judge it by."""
    if judged_output(manifest) is None or is_labelled or unlabelled:
        return
    raise ManifestError(
        "what the step costs in accuracy or error is not known: give rows with --samples and their right answers with"
        " --target, or say --unlabelled if there are none"
    )


def optimisation(
    manifest: pb.ModelManifest, steps: Steps, before: bytes, after: bytes, *, timed: Rows, labelled: Labelled | None
) -> pb.Optimisation:
    """What the manifest says of the steps that made `after` of `before`. One row of `timed` is timed."""
    excuse = _NO_RIGHT_ANSWERS if judged_output(manifest) is None else _UNLABELLED
    return pb.Optimisation(
        steps=steps.names(),
        size_bytes_before=len(before),
        size_bytes_after=len(after),
        latency_ratio=latency_ratio(before, after, timed),
        metrics_before=[] if labelled is None else judged(manifest, before, labelled).metrics,
        unjudged=excuse if labelled is None else "",
    )


def _labelled(published: Published, order: OptimiseOrder) -> Labelled | None:
    """The rows that were given with their right answers, else those that the version kept."""
    if order.samples is not None and order.truth is not None:
        return Labelled(order.samples, order.truth, "the rows that were given")
    return labelled_rows.read(published.files)


def _comparisons(published: Published, before: bytes, samples: Rows | None) -> list[tuple[str, Comparison]]:
    """What to compare on: the source's kept answers, and the published graph's own answers to further rows."""
    kept = published.files.get(PARITY_FILE)
    found = [(KEPT_ANSWERS, comparison) for comparison in (parity_rows.read(kept) if kept is not None else ())]
    if samples is not None:
        version = published.folder.name
        found.append((f"version {version}'s graph", Comparison(samples, run_graph(before, samples, _batch(published)))))
    if not found:
        raise ManifestError("the version has no kept rows to compare on: give some with --samples")
    return found


def _batch(published: Published) -> int:
    one_row = any(spec.shape and spec.shape[0] == 1 for spec in published.manifest.inputs)
    return 1 if one_row else 256


def _parity(
    manifest: pb.ModelManifest, graph: bytes, comparisons: Sequence[tuple[str, Comparison]], tolerance: Tolerance
) -> pb.ParityReport:
    classes, indices = outputs_of(manifest.outputs, CLASS_ROLES), outputs_of(manifest.outputs, INDEX_ROLES)
    allowed = tolerance.fitted([one.reference for _, one in comparisons], classes)
    reports = [
        compare(
            graph,
            one.rows,
            one.reference,
            allowed,
            described=described,
            class_outputs=classes,
            index_outputs=indices,
        )
        for described, one in comparisons
    ]
    return merge(reports, allowed)


def _others(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The version's files besides its graph: the weights are in the new graph.

    The rows to compare on stay those that the source answered: what a graph answered is not the source's word.
    """
    return {path: content for path, content in files.items() if path != GRAPH_FILE}


def latency_ratio(before: bytes, after: bytes, rows: Rows) -> float:
    """Time of one row, after / before: the median over runs that take turns, so that a busy moment meets both."""
    sessions = open_session(before), open_session(after)
    feed = {name: values[:1] for name, values in rows.items()}
    ratios = []
    for _ in range(_TIMED_PAIRS):
        times = []
        for session in sessions:
            begun = time.perf_counter()
            session.run(None, feed)
            times.append(time.perf_counter() - begun)
        ratios.append(times[1] / times[0])
    return statistics.median(ratios[_TIMED_PAIRS // 4 :])  # the first runs warm up
