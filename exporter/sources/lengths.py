"""Rows of other sizes than the base has, where an axis varies: half, twice, and as long as a service gives.

A graph that was frozen at the size of its example shows here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from exporter.arrays import Array, Rows
from exporter.conversion import LONGEST
from exporter.graph import graph_name
from exporter.sources.inputs import Input

SHORT, LONG = "short", "long"
# What is longer takes too long to ask, and these are few because they are long.
_MOST_TOKENS, _LONGEST_ROWS = 512, 4


def in_other_sizes(
    inputs: Sequence[Input], head: Rows, lengths: Mapping[str, int]
) -> Iterator[tuple[str, dict[str, Array]]]:
    """(kind, rows); nothing where no axis varies. `lengths` are by the graph's names, as `row_sets` has them."""
    if not any(entry.dynamic_axes for entry in inputs):
        return
    for kind, size_of in ((SHORT, lambda size: max(size // 2, 1)), (LONG, lambda size: size * 2 + 1)):
        yield kind, {entry.name: _resized(entry, head[entry.name], size_of) for entry in inputs}
    own = {entry.name: lengths.get(graph_name(entry.name), 0) for entry in inputs if entry.dynamic_axes}
    if any(own.values()) and max(own.values()) <= _MOST_TOKENS:
        few = {name: values[:_LONGEST_ROWS] for name, values in head.items()}
        yield LONGEST, {entry.name: _of_length(entry, few[entry.name], own.get(entry.name, 0)) for entry in inputs}


def _of_length(entry: Input, rows: Array, length: int) -> Array:
    return _resized(entry, rows, lambda size: length or size)


def _resized(entry: Input, rows: Array, size_of: Callable[[int], int]) -> Array:
    """The rows with each axis that varies at another size, repeated or cut."""
    for axis in entry.dynamic_axes:
        rows = np.take(rows, np.arange(size_of(rows.shape[axis])), axis=axis, mode="wrap")
    return rows
