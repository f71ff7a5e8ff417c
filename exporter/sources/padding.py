"""Rows that show whether padding shows: texts alone, and the same texts padded beside longer ones, as a service does.

Who states a mask says that padding is not read, and services then run texts of several lengths together. Half of every
text is a text too, so these rows are no longer than those that the model is asked anyway.
"""

from collections.abc import Iterator

import numpy as np

from exporter.arrays import Array, Rows
from exporter.conversion import Masked
from exporter.graph import graph_name

UNPADDED, PADDED = "unpadded", "padded"
# Rows of these are held against one another, each against its own.
PAIRED = (UNPADDED, PADDED)
_ROWS = 16


def padding_kinds(base: Rows, masked: Masked) -> Iterator[tuple[str, dict[str, Array]]]:
    """Half of each text of the base; the whole texts, and behind them these halves, padded to one length.

    What has as many places as the ids is cut and padded with them; a state or a weight stays as it is.
    Nothing where the base has no ids and mask of these names: the manifest is refused for that.
    """
    names = {graph_name(name): name for name in base}
    if not {masked.ids, masked.mask} <= names.keys() or base[names[masked.ids]].ndim != 2:
        return
    ids, mask = names[masked.ids], names[masked.mask]
    texts = {name: values[:_ROWS] for name, values in base.items()} | {mask: np.ones_like(base[mask][:_ROWS])}
    width = texts[ids].shape[1]
    by_token = {name for name, values in texts.items() if values.ndim > 1 and values.shape[1] == width}
    half = {name: values[:, : max(width // 2, 1)] if name in by_token else values for name, values in texts.items()}
    yield UNPADDED, half
    longer = {
        name: np.concatenate([values, values], axis=1)[:, : max(width, 2)] if name in by_token else values
        for name, values in texts.items()
    }
    yield (
        PADDED,
        {
            name: np.concatenate([values, _padded(half[name], values.shape, masked.pad_id if name == ids else 0)])
            for name, values in longer.items()
        },
    )


def _padded(values: Array, shape: tuple[int, ...], filled: int) -> Array:
    """Up to the second size of `shape`, where the values have one."""
    behind = [(0, shape[axis] - size if axis == 1 else 0) for axis, size in enumerate(values.shape)]
    return np.pad(values, behind, constant_values=filled) if any(map(any, behind)) else values
