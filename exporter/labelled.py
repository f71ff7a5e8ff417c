"""Rows whose right answers are known, kept with a version: what is made of it later is judged on the rows it was.

They are kept as parity rows are, spread evenly and few enough for a ConfigMap. Services do not read the file. A model
that was exported without right answers has none, and nothing here makes any up.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from exporter import parity_rows
from exporter.arrays import Array, Rows
from exporter.errors import ManifestError, SourceError
from exporter.parity_rows import Comparison

LABELLED_FILE = "labelled.npz"
MAX_ROWS = 2048
MAX_BYTES = 256 * 1024
_TRUTH = "truth"
_SPLIT = "the labelled rows that were kept at export"


@dataclass(frozen=True, slots=True)
class Labelled:
    """`rows` as the graph takes them, the right answer to each, [N], and what figures on them say that they are of."""

    rows: Rows
    truth: Array
    split: str

    def __post_init__(self) -> None:
        counts = {len(values) for values in (*self.rows.values(), self.truth)}
        if len(counts) != 1:
            raise SourceError(f"there are {len(self.truth)} right answers to {max(counts)} rows: one a row is needed")

    def chosen(self, rows: Array) -> "Labelled":
        """Those of them at the positions, or under the mask."""
        return Labelled({name: values[rows] for name, values in self.rows.items()}, self.truth[rows], self.split)


def kept(labelled: Labelled) -> Mapping[str, bytes]:
    """The file of a version, by its name."""
    compared = [Comparison(labelled.rows, {_TRUTH: labelled.truth})]
    return {LABELLED_FILE: parity_rows.kept(compared, max_rows=MAX_ROWS, max_bytes=MAX_BYTES)}


def read(files: Mapping[str, bytes]) -> Labelled | None:
    """What a version kept; None where it kept none. Raises ManifestError where the file is none of ours."""
    if LABELLED_FILE not in files:
        return None
    (found,) = parity_rows.read(files[LABELLED_FILE], LABELLED_FILE)
    if _TRUTH not in found.reference:
        raise ManifestError(f"{LABELLED_FILE} has no right answers: export the model again")
    return Labelled(found.rows, np.asarray(found.reference[_TRUTH]), _SPLIT)
