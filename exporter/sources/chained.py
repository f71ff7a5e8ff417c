"""What one part of a graph answers, as the next part reads it: by name or alone, of one width, in its number type.

The parts are of different frameworks, so nobody has checked that they fit: widths and kinds are compared here, before
the second framework meets rows that it does not take. Between parts stands a dense array, float32 where the second
does not say otherwise; a whole number is never made by cutting a fraction off.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from exporter.arrays import Array, Rows
from exporter.conversion import Request
from exporter.errors import SourceError
from exporter.sources.inputs import TEXT, Input

# (kind, rows): what the part before answered to rows of that kind.
Kinds: TypeAlias = Sequence[tuple[str, Rows]]


def as_read(own: Sequence[Input] | None, request: Request, asked: Kinds) -> list[tuple[str, dict[str, Array]]]:
    """The answers of the part before, by their names, in the order of the inputs that take them.

    `own` is what the model knows of its inputs; None: a function, which takes the answers in their order. Raises
    SourceError where the parts do not fit.
    """
    answered = list(asked[0][1])
    readers = _stated(request) if own is None else _matched(own, request, answered)
    return [
        (kind, {name: _fitting(rows[name], entry, request) for name, entry in readers.items()}) for kind, rows in asked
    ]


def _stated(request: Request) -> dict[str, Input]:
    """Numbers as the graph of the part before answers them."""
    return {statement.name: Input(statement.name, statement.dtype) for statement in request.stated}


def _matched(own: Sequence[Input], request: Request, answered: Sequence[str]) -> Mapping[str, Input]:
    """By name; where there is one of each, by that."""
    by_name = {entry.name: entry for entry in own}
    if set(by_name) == set(answered):
        return {name: by_name[name] for name in by_name}
    if len(own) == len(answered) == 1:
        return {answered[0]: own[0]}
    raise SourceError(
        f"{request.preceding} answers {', '.join(answered)}, {_name(request)} reads {', '.join(by_name)}: one of each,"
        " or an output by the name of each input is needed"
    )


def _fitting(values: Array, entry: Input, request: Request) -> Array:
    both = f"{request.preceding} answers {_told(values)}, {_name(request)} reads {_read(entry)}"
    if (values.dtype.kind in "OUS") != entry.is_text:
        raise SourceError(both)
    sizes = [size for size in entry.shape if isinstance(size, int)]
    fixed = [actual for actual, size in zip(values.shape[1:], entry.shape, strict=False) if isinstance(size, int)]
    if entry.shape and (values.ndim != len(entry.shape) + 1 or fixed != sizes):
        raise SourceError(f"{both}: fit the two to one width, or take the preprocessing that it was trained with")
    if entry.is_text or str(values.dtype) == entry.dtype:
        return values
    if np.dtype(entry.dtype).kind in "iu" and not _are_whole(values):
        raise SourceError(f"{both}: whole numbers are not made of fractions")
    return values.astype(entry.dtype)


def _are_whole(values: Array) -> bool:
    return values.dtype.kind in "iub" or bool((np.isfinite(values) & (values == np.rint(values))).all())


def _name(request: Request) -> str:
    return Path(request.source).name


def _told(values: Array) -> str:
    return f"[{', '.join(['N', *map(str, values.shape[1:])])}] {TEXT if values.dtype.kind in 'OUS' else values.dtype}"


def _read(entry: Input) -> str:
    return f"[{', '.join(['N', *map(str, entry.shape)])}] {entry.dtype}"
