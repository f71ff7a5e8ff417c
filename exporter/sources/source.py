"""A model as its framework has it: asked for its own answers, and for a graph.

Every framework's module makes one `Source`; what follows is the same for all of them: resolve the inputs, make the
rows, let the source answer, let it be converted. The graph is not judged here: that is the parent's, in `verify.py`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import TypeAlias

import numpy as np

from exporter.arrays import Array, Rows
from exporter.conversion import (
    LEFT_OUT,
    REFUSED,
    Conversion,
    Findings,
    NotApplicable,
    Provenance,
    Request,
    RowSet,
)
from exporter.errors import SourceError
from exporter.finite import finite_or_paired
from exporter.foreign import told
from exporter.graph import graph_name
from exporter.sources.chained import Kinds, as_read
from exporter.sources.hard_rows import row_sets
from exporter.sources.inputs import Input, as_declared, lost_of, resolve, with_typical
from exporter.sources.open_texts import open_texts_alone
from exporter.sources.padding import padding_kinds
from exporter.sources.ways import Naming, Way, mends

# What a part answers that another one reads; a table's own tensor is called features.
_READ_ON = "preprocessed"
# The answers to rows, an array an output, in the model's order: [N, ...] each.
Answer: TypeAlias = Callable[[Sequence[Array]], list[Array]]


@dataclass(frozen=True, slots=True)
class Source:
    """`distribution` and `converter` are named as pip names them; no converter: the model is ONNX already."""

    framework: str
    distribution: str
    converter: str
    # In the model's order; None where it takes what it is given, like a function.
    inputs: tuple[Input, ...] | None
    answer: Answer
    # The first is tried first.
    ways: tuple[Way, ...]
    # The source's own names of its outputs, in its order, where it has some.
    outputs: tuple[str, ...] = ()
    findings: Findings = field(default_factory=Findings)
    parameter_count: int | None = None
    # The same estimator fitted to other rows, in the order of the inputs, and their right answers: class indices [N] or
    # numbers. None where there is nothing to fit.
    fit_again: Callable[[Sequence[Array], Array], "Source"] | None = None
    # Whether it computes in float64 what its graph reads as float32: it is asked the samples as they are given.
    reads_doubles: bool = False

    def as_asked(self, rows: Rows, samples: Rows) -> Rows:
        """Of the samples in the dtype of the inputs and as they are given those that the source is to be asked.

        Of whole numbers it makes float64, before anything scales them.
        """
        if not self.reads_doubles:
            return rows
        given = {name: samples.get(name, values) for name, values in rows.items()}
        return {name: own.astype(np.float64) if own.dtype.kind in "iu" else own for name, own in given.items()}

    def provenance(self) -> Provenance:
        converter_version = metadata.version(self.converter) if self.converter else ""
        return Provenance(
            self.framework,
            metadata.version(self.distribution),
            self.converter,
            converter_version,
            self.parameter_count,
        )


def convert(source: Source, request: Request, samples: Rows, asked: Sequence[Rows] = ()) -> Conversion:
    """Raises SourceError where samples or output names do not fit the model, and whatever the framework raises.

    `asked` are the rows of `request.kinds`, which the part before answered: then no rows are made.
    """
    inputs, kinds = _rows_answered(source, request, asked) if asked else _rows_made(source, request, samples)
    (base_kind, first), *hard = kinds
    outputs = output_names(source, request, first)
    answered = [found for kind, rows in hard for found in _answered(source, request, kind, rows, outputs)]
    given = source.as_asked(first, {} if asked else samples)
    base = _row_set(source, base_kind, first, outputs, given)
    way, naming, began = source.ways[request.way], Naming(tuple(inputs), outputs, head(first, 3)), time.monotonic()
    graph = way.to_graph(naming)
    took_s = time.monotonic() - began
    findings = replace(
        source.findings,
        columns=source.findings.columns or _column_names(inputs),
        ways=len(source.ways),
        fits_again=source.fit_again is not None,
        normalisation=request.normalisation or source.findings.normalisation,
        hazards_of_samples=lost_of(given, first),
    )
    return Conversion(
        graph=graph,
        row_sets=(base, *(found for found in answered if isinstance(found, RowSet))),
        provenance=source.provenance(),
        not_applicable=tuple(found for found in answered if isinstance(found, NotApplicable)),
        findings=findings,
        # What left no trace in the graph was no remedy.
        mends=tuple(mend for mend in mends(way, naming, took_s) if mend.without != graph),
    )


def _rows_made(source: Source, request: Request, samples: Rows) -> tuple[list[Input], Kinds]:
    """The samples or ordinary rows, and hard ones."""
    inputs = resolve(source.inputs, request.stated, request.ranges, samples)
    if request.normalisation is not None:
        inputs = with_typical(inputs, request.normalisation)
    rows = {entry.name: as_declared(samples[entry.name], entry) for entry in inputs} if samples else {}
    kinds = list(open_texts_alone(inputs, source.findings.categories, row_sets(inputs, rows, request.lengths)))
    return inputs, [*kinds, *(() if request.masked is None else padding_kinds(kinds[0][1], request.masked))]


def _rows_answered(source: Source, request: Request, asked: Sequence[Rows]) -> tuple[list[Input], Kinds]:
    """The answers of the part before. What is said of them is for a source that does not tell what it reads."""
    kinds = as_read(source.inputs, request, list(zip(request.kinds, asked, strict=True)))
    return resolve(source.inputs, request.stated if source.inputs is None else (), {}, kinds[0][1]), kinds


def output_names(source: Source, request: Request, rows: Rows) -> tuple[str | None, ...]:
    """The names in the source's order: by the source's own names where all of them are its, else by position."""
    wanted, count = request.output_names, len(_first_answers(source, request, rows))
    if request.is_read_on:
        # Its own input may be called so: another part's answers.
        return (_READ_ON if _READ_ON not in rows else f"{_READ_ON}_on",) if count == 1 else source.outputs
    if wanted and set(wanted) <= set(source.outputs):
        return tuple(name if name in wanted else None for name in source.outputs)
    if len(wanted) == count:
        return wanted
    own = f" ({', '.join(source.outputs)})" if source.outputs else ""
    raise SourceError(
        f"the model has {count} output(s){own}, {len(wanted)} are described: {', '.join(wanted)};"
        " describe each in the model's order, or those that you want by the model's own names"
    )


def _first_answers(source: Source, request: Request, rows: Rows) -> list[Array]:
    """The answers to two rows. What the part before answers is the first thing that the source may not take."""
    two = list(head(rows, 2).values())
    if not request.preceding:
        return source.answer(two)
    try:
        return source.answer(two)
    except Exception as error:
        rows_told = ", ".join(f"{list(values.shape)} {values.dtype}" for values in two)
        raise SourceError(
            f"{Path(request.source).name} does not take what {request.preceding} answers to two rows, {rows_told}:"
            f" {told(error)}"
        ) from error


def _answered(
    source: Source, request: Request, kind: str, rows: Rows, outputs: Sequence[str | None]
) -> Iterator[RowSet | NotApplicable]:
    """A hard kind with the source's answers; of a source by itself, without the rows that it answers with no number."""
    if kind in request.without:
        yield NotApplicable(kind, LEFT_OUT)
        return
    try:
        found = _row_set(source, kind, rows, outputs)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - the source refuses such rows in whatever way its framework has
        yield NotApplicable(kind, f"{REFUSED}: {type(error).__name__}: {told(error, 150)}")
        return
    yield from (found,) if request.is_read_on or request.preceding else finite_or_paired(found)


def named_answers(source: Source, rows: Rows, outputs: Sequence[str | None]) -> dict[str, Array]:
    """The source's own answers to rows, by the names of the outputs."""
    answers = source.answer(list(rows.values()))
    return {name: values for name, values in zip(outputs, answers, strict=True) if name is not None}


def _row_set(source: Source, kind: str, rows: Rows, outputs: Sequence[str | None], given: Rows | None = None) -> RowSet:
    """`given` are the rows as the source is asked them, where these are others than the graph's."""
    answers = named_answers(source, rows if given is None else given, outputs)
    return RowSet(kind, {graph_name(name): values for name, values in rows.items()}, answers)


def _column_names(inputs: Sequence[Input]) -> tuple[str, ...]:
    """Of a table with a tensor a column: their own names."""
    return tuple(entry.name for entry in inputs) if all(entry.shape == (1,) for entry in inputs) else ()


def head(rows: Rows, count: int) -> dict[str, Array]:
    return {name: values[:count] for name, values in rows.items()}
