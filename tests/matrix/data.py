"""Tables and images that scikit-learn brings along, in three parts that do not overlap.

The model is fitted on the first, the exporter may see the second, the third is kept for the judge. Beside it stand
harder rows that are made from it: zeros, large and negative numbers, missing values.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets

from tests.matrix.case import Rows
from tests.matrix.describe import FEATURES, IMAGE

Numbers = NDArray[np.float32]

FIT_SHARE, SAMPLE_SHARE = 0.6, 0.2


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of numbers or images, float32[N, ...], and what is to be learned of each row."""

    fit_rows: Numbers
    fit_targets: NDArray[np.generic]
    samples: Numbers
    held_out: Numbers

    @property
    def width(self) -> int:
        return int(self.fit_rows.shape[-1])

    def fresh(self, *, missing: bool = False) -> dict[str, Rows]:
        """Rows for the judge, with NaN where the source takes it."""
        groups = self._groups()
        if missing:
            gaps = np.tile(self.held_out[:1], (self.width + 1, 1))
            gaps[np.arange(self.width), np.arange(self.width)] = np.nan
            gaps[-1] = np.nan
            groups["missing"] = gaps
        return {name: {FEATURES: rows} for name, rows in groups.items()}

    def fresh_images(self) -> dict[str, Rows]:
        return {name: {IMAGE: rows} for name, rows in self._groups().items()}

    def _groups(self) -> dict[str, Numbers]:
        few = self.held_out[:8]
        return {"held out": self.held_out, "zeros": np.zeros_like(few), "large": few * 100, "negative": -few}


def flowers() -> Table:
    """Iris: 4 numbers, 3 species."""
    iris = datasets.load_iris()
    return _split(iris.data, iris.target)


def wine(*, scaled: bool = False) -> Table:
    """13 numbers, 3 cultivars."""
    wines = datasets.load_wine()
    return _split(_scaled(wines.data) if scaled else wines.data, wines.target)


def tumours(*, scaled: bool = False) -> Table:
    """Breast cancer: 30 numbers, 2 classes."""
    cancer = datasets.load_breast_cancer()
    return _split(_scaled(cancer.data) if scaled else cancer.data, cancer.target)


def patients(*, scaled: bool = False) -> Table:
    """Diabetes: 10 numbers in their own units, a number to predict."""
    diabetes = datasets.load_diabetes(scaled=False)
    return _split(_scaled(diabetes.data) if scaled else diabetes.data, diabetes.target.astype(np.float32))


def digits(*, channels_first: bool = False) -> Table:
    """Digits of 8 × 8 pixels in [0, 1], 10 classes."""
    found = datasets.load_digits()
    return _split((found.data / 16).reshape((-1, 1, 8, 8) if channels_first else (-1, 8, 8, 1)), found.target)


def borders(count: int) -> tuple[int, int]:
    """Where the first part ends, and the second."""
    return round(count * FIT_SHARE), round(count * (FIT_SHARE + SAMPLE_SHARE))


def _scaled(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    return scaled


def _split(rows: NDArray[np.float64], targets: NDArray[np.generic]) -> Table:
    order = np.random.default_rng(0).permutation(len(rows))
    rows, targets = rows[order].astype(np.float32), targets[order]
    first, second = borders(len(rows))
    return Table(rows[:first], targets[:first], rows[first:second], rows[second:])
