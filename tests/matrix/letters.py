"""Words as ids of their letters. Imported by the networks too: nothing slow is imported here."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = len(_LETTERS) + 1
PADDING = 0

Ids = NDArray[np.int64]


def spell(texts: Sequence[str], length: int) -> Ids:
    """Ids of letters, cut or padded to `length`."""
    ids = np.full((len(texts), length), PADDING, np.int64)
    for row, text in enumerate(texts):
        letters = [1 + _LETTERS.index(letter) for letter in text[:length]]
        ids[row, : len(letters)] = letters
    return ids
