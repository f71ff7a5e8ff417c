"""Is a text answered alike when it is padded? A stated mask says so, and services believe it.

Texts of several lengths then share a batch. A network that pools under the mask and reads padding before that answers
by who is beside a text, and no other rows show it. Answers at the places of padding are nobody's.
"""

from collections.abc import Collection
from dataclasses import replace

from argosy.v1 import manifest_pb2 as pb
from exporter.arrays import Rows
from exporter.conversion import LEFT_OUT, Conversion, Masked
from exporter.errors import ParityError
from exporter.parity import Tolerance, WorstError
from exporter.run_graph import run_graph
from exporter.sources.padding import PADDED, UNPADDED

_INSTEAD = "mend the network, or train it without a mask: texts of one length are then run together"


def how_padded(tokens: pb.TokenReading, *, one_row: bool) -> Masked | None:
    """What services will do to texts; None where no text is padded."""
    return Masked(tokens.ids_input, tokens.mask_input, tokens.pad_id) if tokens.mask_input and not one_row else None


def without_padded(conversion: Conversion) -> Conversion:
    """The conversion without the rows whose answers are not all to be compared."""
    return replace(conversion, row_sets=tuple(rows for rows in conversion.row_sets if rows.kind != PADDED))


def require_unread_padding(conversion: Conversion, class_outputs: Collection[str], tolerance: Tolerance) -> None:
    """Hold what source and graph answer to padded texts against what the source answers to the texts alone.

    Nothing where there are no such rows. Raises ParityError.
    """
    for kind in conversion.not_applicable:
        if kind.kind in (UNPADDED, PADDED) and kind.reason != LEFT_OUT:
            raise ParityError(f"whether padding is read cannot be tried: rows of kind '{kind.kind}': {kind.reason}")
    sets = {rows.kind: rows for rows in conversion.row_sets}
    if UNPADDED not in sets or PADDED not in sets:
        return
    alone, padded = sets[UNPADDED].answers, sets[PADDED]
    _compare(alone, padded.answers, class_outputs, tolerance, "source")
    _compare(alone, run_graph(conversion.graph, padded.rows), class_outputs, tolerance, "graph")


def _compare(alone: Rows, padded: Rows, class_outputs: Collection[str], tolerance: Tolerance, who: str) -> None:
    """`padded` has the answers to as many whole texts first."""
    allowed = tolerance.fitted([alone], class_outputs)
    for name, expected in alone.items():
        worst, count = WorstError(name, allowed, has_classes=name in class_outputs), len(expected)
        own = padded[name][-count:][tuple(slice(size) for size in expected.shape)]
        worst.add(range(count), own, expected)
        if not worst.within or len(padded[name]) != 2 * count:
            found = worst.report()
            others = (
                f", {found.disagreeing_labels} of {count} texts have another class" if name in class_outputs else ""
            )
            raise ParityError(
                f"the {who} reads padding, although a mask is stated: output '{name}' of a text beside longer ones"
                f" is off by {found.worst_absolute_error:.3g}{others}; {_INSTEAD}"
            )
