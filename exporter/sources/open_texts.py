"""Rows of odd texts for the columns that take any text: a closed column would have the source refuse the whole row.

What the source refuses is compared with nothing, so that a column beside a closed one would never be tried. Where all
columns of texts are closed the rows stay as they are, and the source's refusal is what is recorded.
"""

from collections.abc import Iterable, Iterator, Sequence

from exporter.arrays import Array
from exporter.sources.hard_rows import OF_TEXTS
from exporter.sources.inputs import Input

_Kind = tuple[str, dict[str, Array]]


def open_texts_alone(
    inputs: Sequence[Input], categories: Sequence[Sequence[str]], kinds: Iterable[_Kind]
) -> Iterator[_Kind]:
    """The kinds, the first of which has the base's rows; `categories` are those of each column, none of an open one."""
    closed = {entry.name for entry, known in zip(inputs, categories, strict=False) if known}
    has_open = any(entry.is_text and entry.name not in closed for entry in inputs)
    base: dict[str, Array] = {}
    for kind, rows in kinds:
        base = base or rows
        if kind in OF_TEXTS and has_open:
            kept = {name: base[name][: len(values)] if name in closed else values for name, values in rows.items()}
            yield kind, kept
        else:
            yield kind, rows
