"""A source fitted again without the rows of each fold, and its graph: what a K-fold is measured on.

Fitting is `fit(rows, answers)` and nothing more: weights of rows, groups and rows for early stopping, which a model may
have had, are not known here. A model that needs them says so itself, and that is the refusal.
"""

from collections.abc import Iterator

import numpy as np

from exporter.arrays import Rows
from exporter.conversion import Request
from exporter.conversion_folds import Fold, Split
from exporter.errors import ExportError, SourceError
from exporter.foreign import told
from exporter.sources.inputs import as_declared, resolve
from exporter.sources.source import Source, head, named_answers, output_names
from exporter.sources.ways import Naming


def folds(source: Source, request: Request, samples: Rows, split: Split) -> Iterator[Fold]:
    """In the order of their numbers. Raises SourceError where the source cannot be fitted again."""
    inputs = resolve(source.inputs, request.stated, request.ranges, samples)
    declared = {entry.name: as_declared(samples[entry.name], entry) for entry in inputs}
    rows = source.as_asked(declared, samples)
    outputs = output_names(source, request, rows)
    naming = Naming(tuple(inputs), outputs, head(declared, 3))
    for number in range(split.count()):
        held_out = {name: values[split.fold == number] for name, values in rows.items()}
        fitted = _fitted(source, rows, split, number)
        yield Fold(fitted.ways[request.way].to_graph(naming), named_answers(fitted, held_out, outputs))


def _fitted(source: Source, rows: Rows, split: Split, number: int) -> Source:
    if source.fit_again is None:
        raise SourceError(f"a model of {source.framework} cannot be fitted again")
    others = np.asarray(split.fold != number)
    try:
        return source.fit_again([values[others] for values in rows.values()], split.truth[others])
    except ExportError:
        raise
    except Exception as error:  # an estimator refuses rows in whatever way its framework has
        raise SourceError(
            f"fold {number + 1}: the model cannot be fitted by its rows and right answers alone: {told(error)}"
        ) from error
