"""Is a text answered alike when it is padded? A stated mask says so, and services believe it.

Texts of several lengths then share a batch. A network that pools under the mask and reads padding before that answers
by who is beside a text, and no other rows show it. Answers at the places of padding are nobody's.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np

from argosy.v1 import manifest_pb2 as pb
from exporter.arrays import Array, Rows
from exporter.conversion import LEFT_OUT, Conversion, Masked, NotApplicable, RowSet
from exporter.errors import ParityError
from exporter.finite import finite_rows, only_finite
from exporter.parity import Tolerance, WorstError
from exporter.run_graph import run_graph
from exporter.sources.padding import PADDED, PAIRED, UNPADDED

_INSTEAD = "mend the network, or train it without a mask: texts of one length are then run together"


def how_padded(tokens: pb.TokenReading, *, one_row: bool) -> Masked | None:
    """What services will do to texts; None where no text is padded."""
    return Masked(tokens.ids_input, tokens.mask_input, tokens.pad_id) if tokens.mask_input and not one_row else None


def without_padded(conversion: Conversion) -> Conversion:
    """The conversion without the rows whose answers are not all to be compared: padded ones, and what is no number."""
    found = [kept for rows in conversion.row_sets if rows.kind != PADDED for kept in _to_compare(rows)]
    return replace(
        conversion,
        row_sets=tuple(rows for rows in found if isinstance(rows, RowSet)),
        not_applicable=(*conversion.not_applicable, *(kind for kind in found if isinstance(kind, NotApplicable))),
    )


def _to_compare(rows: RowSet) -> Iterator[RowSet | NotApplicable]:
    yield from only_finite(rows) if rows.kind == UNPADDED else (rows,)


def padding_read_by_graph(
    conversion: Conversion,
    class_outputs: Collection[str],
    tolerance: Tolerance,
    index_outputs: Collection[str] = (),
) -> str:
    """What is wrong with the graph's answers to padded texts beside the source's to the texts alone; empty: nothing.

    Nothing where there are no such rows. Raises ParityError where the source itself reads padding, or it cannot be
    tried.
    """
    untried = [kind for kind in conversion.not_applicable if kind.kind in PAIRED]
    if any(kind.reason == LEFT_OUT for kind in untried):
        return ""
    for kind in untried:
        raise _cannot_be_tried(f"rows of kind '{kind.kind}': {kind.reason}")
    sets = {rows.kind: rows for rows in conversion.row_sets}
    if UNPADDED not in sets or PADDED not in sets:
        return ""
    alone, padded = sets[UNPADDED].answers, sets[PADDED]
    if not finite_rows(alone).any():
        raise _cannot_be_tried(f"rows of kind '{UNPADDED}': the source answers none of them with finite numbers")
    compared = tolerance.fitted([alone], class_outputs), class_outputs, index_outputs
    _Held("source", *compared).require(alone, padded.answers)
    try:
        _Held("graph", *compared).require(alone, run_graph(conversion.graph, padded.rows))
    except ParityError as error:
        return str(error)
    return ""


def _cannot_be_tried(why: str) -> ParityError:
    return ParityError(
        f"whether padding is read cannot be tried: {why}; --without {PADDED} leaves it untried, where you know that it"
        " is not read"
    )


@dataclass(frozen=True, slots=True)
class _Held:
    """Whose answers to padded texts are compared with those to the texts alone, and how."""

    who: str
    tolerance: Tolerance
    class_outputs: Collection[str]
    index_outputs: Collection[str]

    def require(self, alone: Rows, padded: Rows) -> None:
        """`padded` has the answers to as many whole texts first. A text that has no answer alone is passed over."""
        texts = np.flatnonzero(finite_rows(alone))
        for name, expected in alone.items():
            count = len(expected)
            if len(padded[name]) != 2 * count:
                raise _cannot_be_tried(f"the {self.who} answers {len(padded[name])} rows of '{name}' to {2 * count}")
            own = padded[name][-count:][tuple(slice(size) for size in expected.shape)]
            self._require_alike(name, expected[texts], own[texts])

    def _require_alike(self, name: str, expected: Array, own: Array) -> None:
        is_class = name in self.index_outputs
        worst = WorstError(name, self.tolerance, has_classes=name in self.class_outputs, is_class=is_class)
        worst.add(range(len(expected)), own, expected)
        if worst.within:
            return
        found = worst.report()
        others = f", {found.disagreeing_labels} of {len(expected)} texts have another class"
        raise ParityError(
            f"the {self.who} reads padding, although a mask is stated: output '{name}' of a text beside longer ones"
            f" is off by {found.worst_absolute_error:.3g}{others if found.disagreeing_labels else ''}; {_INSTEAD}"
        )
