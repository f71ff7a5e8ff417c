"""Several sources as one graph: a pipeline that vectorises or scales, and the network that reads what it answers.

Each is converted in a process of its own and asked there: the first the caller's rows and hard ones, every further one
the answers of the source before it. So the reference is what a person would get who ran the sources one after the
other, and the joined graph is held against that, on the rows that callers will send. A part by itself is compared only
to say which of them is wrong.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import onnx

from exporter.apart import Apart, convert_apart
from exporter.arrays import Rows
from exporter.comparison import compare_all
from exporter.conversion import Conversion, Findings, NotApplicable, Request, RowSet, Stated
from exporter.errors import GraphError, SourceError
from exporter.finite import finite_or_paired
from exporter.graph import check, graph_name, parse
from exporter.join import join
from exporter.mended import with_graph
from exporter.parity import Tolerance
from exporter.sources.inputs import TEXT

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Part:
    """A source that runs before the model, and the interpreter of the environment that converts it."""

    source: str
    interpreter: str


def convert_checked(request: Request, samples: Rows, apart: Apart, asked: Sequence[Rows] = ()) -> Conversion:
    """The conversion of one source by itself, its graph's names and form checked."""
    conversion = convert_apart(request, samples, apart, asked)
    check(parse(conversion.graph))
    return conversion


def preceding(parts: Sequence[tuple[Request, Apart]], samples: Rows, tolerance: Tolerance) -> Conversion | None:
    """The parts before the last as one conversion; None where there are none."""
    found: Conversion | None = None
    for request, apart in parts:
        part = replace(request, is_read_on=True)
        convert = partial(_in_way, part, found, samples, apart)
        found = _equal_or_told(convert, request.source, tolerance)
    return found


def convert_part(request: Request, before: Conversion | None, samples: Rows, apart: Apart) -> Conversion:
    """The source of the request by itself, or behind the parts of `before` as one graph.

    Raises SourceError or GraphError.
    """
    if before is None:
        return convert_checked(request, samples, apart)
    part = replace(request, kinds=tuple(rows.kind for rows in before.row_sets), stated=tuple(_answered(before)))
    found = convert_checked(part, {}, apart, [rows.answers for rows in before.row_sets])
    links = {name: graph_name(name) for name in before.row_sets[0].answers}
    joined = partial(join, links=links, one_row_at_a_time=request.one_row_at_a_time)
    given = {rows.kind: rows.rows for rows in before.row_sets}
    whole = replace(
        found,
        graph=joined(before.graph, found.graph),
        row_sets=tuple(RowSet(rows.kind, given[rows.kind], rows.answers) for rows in found.row_sets),
        not_applicable=(*before.not_applicable, *found.not_applicable),
        findings=_of_both(before.findings, found.findings),
        preceding=(*before.preceding, before.provenance),
        mends=(
            *(with_graph(mend, lambda graph: joined(graph, found.graph)) for mend in before.mends),
            *(with_graph(mend, lambda graph: joined(before.graph, graph)) for mend in found.mends),
        ),
    )
    return whole if request.is_read_on else _finite(whole)


def other_ways(first: Findings, make: Callable[[int], Made]) -> Iterator[Made]:
    """What `make` makes of each of a source's ways but the first, as far as it can."""
    for way in range(1, first.ways):
        with suppress(SourceError, GraphError):
            yield make(way)


def _in_way(request: Request, before: Conversion | None, samples: Rows, apart: Apart, way: int) -> Conversion:
    return convert_part(replace(request, way=way), before, samples, apart)


def _equal_or_told(convert: Callable[[int], Conversion], source: str, tolerance: Tolerance) -> Conversion:
    """The first of a part's ways that answers as its source; else the first, and what it gets wrong as a hazard."""
    first = convert(0)
    outcome = compare_all(_finite(first), (), tolerance)
    if outcome.passed:
        return first
    for other in other_ways(first.findings, convert):
        if compare_all(_finite(other), (), tolerance).passed:
            return other
    told = f"{Path(source).name} by itself differs: {outcome.failure}"
    return replace(first, findings=replace(first.findings, hazards=(told, *first.findings.hazards)))


def _finite(conversion: Conversion) -> Conversion:
    """Without the hard rows that are answered with no number."""
    base, *hard = conversion.row_sets
    found = [base, *(kept for rows in hard for kept in finite_or_paired(rows))]
    return replace(
        conversion,
        row_sets=tuple(rows for rows in found if isinstance(rows, RowSet)),
        not_applicable=(*conversion.not_applicable, *(kind for kind in found if isinstance(kind, NotApplicable))),
    )


def _answered(conversion: Conversion) -> Iterator[Stated]:
    """What the graph answers, for a source that does not tell what it reads. What differs between kinds varies."""
    types = {value.name: value.type.tensor_type.elem_type for value in parse(conversion.graph).graph.output}
    for name in conversion.row_sets[0].answers:
        shapes = {rows.answers[name].shape[1:] for rows in conversion.row_sets}
        sizes = tuple(column[0] if len(set(column)) == 1 else -1 for column in zip(*shapes, strict=True))
        is_text = types[name] == onnx.TensorProto.STRING
        yield Stated(name, TEXT if is_text else onnx.helper.tensor_dtype_to_np_dtype(types[name]).name, sizes)


def _of_both(before: Findings, after: Findings) -> Findings:
    """Columns, their categories and scaling are those of the first, labels and ways those of the last."""
    return replace(
        after,
        columns=before.columns,
        categories=before.categories,
        normalisation=before.normalisation,
        hazards=(*before.hazards, *after.hazards),
        hazards_of_samples=(*before.hazards_of_samples, *after.hazards_of_samples),
    )
