"""K-fold: the figures of graphs whose sources were fitted without the rows that they are judged on.

They speak of the way of training, where the figures of the version speak of the one model that is in it. Each fold's
source is fitted in the conversion process, exported in the very way that the version was, held against its source on
the rows of the fold, and judged on them. A fold that does not answer as its source refuses the export: a figure of a
wrong graph helps nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold

from argosy.v1 import manifest_pb2 as pb
from evaluation import figures
from exporter.apart import Apart, folds_apart
from exporter.arrays import Array, Rows
from exporter.conversion import Request
from exporter.conversion_folds import Fold, Split
from exporter.errors import GraphError, ManifestError, ParityError
from exporter.graph import check, parse
from exporter.judge import judged, right_answers
from exporter.labelled import Labelled
from exporter.manifest import CLASS_ROLES, INDEX_ROLES, outputs_of
from exporter.parity import Tolerance, describe_failure
from exporter.steps import Steps, taken
from exporter.verify import compare

CANNOT_BE_FITTED = (
    "--folds fits the model anew for each fold, which can be done with estimators and pipelines of scikit-learn and"
    " with the scikit-learn classes of XGBoost and LightGBM, given as a pickle or an object: leave it out for this one"
)
_SEED = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """How the version was exported: what each fold's graph goes through as well."""

    request: Request
    samples: Rows
    apart: Apart
    steps: Steps
    tolerance: Tolerance


def k_fold(ask: Ask, manifest: pb.ModelManifest, labelled: Labelled, count: int) -> list[pb.Metric]:
    """Mean and standard deviation of each figure over `count` folds of the labelled rows, which are the samples.

    Raises ManifestError where the rows are too few, SourceError where the source cannot be fitted to them, GraphError
    or ParityError where the graph of a fold cannot be had or answers otherwise than its source.
    """
    split = split_rows(manifest, labelled.truth, count)
    measured = []
    for number, fold in enumerate(folds_apart(ask.request, ask.samples, split, ask.apart)):
        held_out = labelled.chosen(split.fold == number)
        graph = _proven(ask, manifest, fold, held_out.rows, f"fold {number + 1} of {count}")
        measured.append(judged(manifest, graph, held_out).metrics)
    return figures.over_folds(measured)


def split_rows(manifest: pb.ModelManifest, truth: Array, count: int) -> Split:
    """The same folds for the same rows. Of a classifier each fold has every class, in equal parts."""
    right = right_answers(manifest, truth)
    labels = _labels(manifest, right)
    if count < 2 or len(right) < 2 * count:
        raise ManifestError(f"{count} folds of {len(right)} rows: at least 2 folds of at least 2 rows each are needed")
    for index, label in enumerate(labels):
        if (found := int((right == index).sum())) < count:
            raise ManifestError(f"class '{label}' has {found} of the labelled rows: {count} folds need one each")
    kind = StratifiedKFold if labels else KFold
    parts = kind(count, shuffle=True, random_state=_SEED).split(right, right if labels else None)
    fold = np.zeros(len(right), np.int64)
    for number, (_, held_out) in enumerate(parts):
        fold[held_out] = number
    return Split(right, fold)


def _labels(manifest: pb.ModelManifest, right: Array) -> Sequence[str]:
    """The classes; none where a number is predicted."""
    if right.dtype.kind == "f":
        return ()
    return list(manifest.labels) or [str(index) for index in range(int(right.max()) + 1)]


def _proven(ask: Ask, manifest: pb.ModelManifest, fold: Fold, rows: Rows, name: str) -> bytes:
    """The graph of a fold, after the steps. Raises with the name of the fold."""
    classes, indices = outputs_of(manifest.outputs, CLASS_ROLES), outputs_of(manifest.outputs, INDEX_ROLES)
    framework = manifest.source.framework
    try:
        check(parse(fold.graph))
        graph = taken(fold.graph, ask.steps)
        report = compare(
            graph,
            rows,
            fold.answers,
            ask.tolerance,
            described=framework,
            class_outputs=classes,
            index_outputs=indices,
        )
    except GraphError as error:
        raise GraphError(f"{name}: {error}") from error
    if not report.passed:
        raise ParityError(f"{name}: the graph does not answer as its source: {describe_failure(report)}")
    return graph
