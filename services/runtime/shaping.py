"""The shapes that a session is run on: rows padded to sizes that it is quick at, texts grouped by their length.

A device that plans anew for every number of rows is given few of them: rows are added until there is a size that the
operator prefers, and what comes of them is dropped. Rows of different lengths cost all the length of the longest, so a
batch is run in groups of similar length, in which at most a tenth is padding. Measured on VADER's sentences, 32 at a
time on one core: 8.6 % of the tokens are padding instead of 51 %, and MiniLM takes 309 ms instead of 593.

A graph that is not told where a row ends reads the padding as the row's own: its groups are of one length each.

Who calls this sees each row's outputs where the row was, whatever was run. Rows must not look at each other.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.runtime.front import Array

# Of a group's tokens, how many may be padding, where the graph is told which ones are.
MAX_PADDING = 0.1

Tensors: TypeAlias = Mapping[str, Array]
RunOnce: TypeAlias = Callable[[Tensors], dict[str, Array]]


def run_padded(run: RunOnce, inputs: Tensors, sizes: Sequence[int]) -> dict[str, Array]:
    """The outputs of the rows of `inputs`, run as the smallest of `sizes`, ascending, that holds them, if one does."""
    rows = len(next(iter(inputs.values())))
    size = next((size for size in sizes if size >= rows), rows)
    if size == rows:
        return run(inputs)
    # Copies of a row: whatever the model takes, it takes them.
    more = {name: np.repeat(array[:1], size - rows, axis=0) for name, array in inputs.items()}
    padded = {name: np.concatenate([array, more[name]]) for name, array in inputs.items()}
    return {name: array[:rows] for name, array in run(padded).items()}


def run_by_length(
    run: RunOnce, inputs: Tensors, lengths: Sequence[int], max_padding: float = MAX_PADDING
) -> dict[str, Array]:
    """The outputs of the rows of `inputs`, each of which fills so much of the second dimension; no lengths: all of it.

    Where an output's later dimensions follow the length, they are the longest group's, and zero beyond a row's own.
    """
    groups = by_length(lengths, max_padding) if lengths else []
    if len(groups) < 2:
        return run(inputs)
    parts = [run({name: array[rows, : lengths[rows[0]]] for name, array in inputs.items()}) for rows in groups]
    return {name: _assembled([part[name] for part in parts], groups) for name in parts[0]}


def by_length(lengths: Sequence[int], max_padding: float = MAX_PADDING) -> list[NDArray[np.intp]]:
    """Places of rows, longest first, in groups of each of which at most `max_padding` is padding."""
    order = np.argsort(-np.asarray(lengths), kind="stable")
    groups: list[NDArray[np.intp]] = []
    start = filled = 0
    for end, row in enumerate(order):
        room = lengths[order[start]] * (end - start + 1)
        if room - filled - lengths[row] > max_padding * room:
            groups.append(order[start:end])
            start, filled = end, 0
        filled += lengths[row]
    return [*groups, order[start:]]


def _assembled(parts: Sequence[Array], groups: Sequence[NDArray[np.intp]]) -> Array:
    trailing = [max(sizes) for sizes in zip(*(part.shape[1:] for part in parts), strict=True)]
    whole = np.zeros((sum(map(len, groups)), *trailing), parts[0].dtype)
    for part, rows in zip(parts, groups, strict=True):
        padding = [(0, size - own) for size, own in zip(trailing, part.shape[1:], strict=True)]
        whole[rows] = np.pad(part, [(0, 0), *padding])
    return whole
