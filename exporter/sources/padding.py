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

    Nothing where the base has no ids and mask of these names: the manifest is refused for that.
    """
    names = {graph_name(name): name for name in base}
    if not {masked.ids, masked.mask} <= names.keys() or base[names[masked.ids]].ndim != 2:
        return
    ids, mask = names[masked.ids], names[masked.mask]
    texts = {name: values[:_ROWS] for name, values in base.items()} | {mask: np.ones_like(base[mask][:_ROWS])}
    width = texts[ids].shape[1]
    half = {name: values[:, : max(width // 2, 1)] for name, values in texts.items()}
    yield UNPADDED, half
    longer = {name: np.tile(values, 2)[:, : max(width, 2)] for name, values in texts.items()}
    yield (
        PADDED,
        {
            name: np.concatenate([values, _padded(half[name], values.shape[1], masked.pad_id if name == ids else 0)])
            for name, values in longer.items()
        },
    )


def _padded(values: Array, width: int, filled: int) -> Array:
    return np.pad(values, [(0, 0), (0, width - values.shape[1])], constant_values=filled)
