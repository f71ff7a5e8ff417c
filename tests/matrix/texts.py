"""Words and sentences that installed packages bring along, in three parts: to fit, for the exporter, for the judge."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets

from tests.matrix.case import Rows
from tests.matrix.data import borders
from tests.matrix.describe import IDS, TEXT
from tests.matrix.letters import Ids, spell

WORD_LETTERS = 16
_WORDS, _HELD_OUT_WORDS = 1500, 60
_HARD_TEXTS = [
    "",
    " ",
    "x",
    "THE CLASSES OF WINE",
    "İstanbul naïve ΣΟΦΟΣ",
    "a-b_c.d,e;f",
    "word " * 500,
    "12 34.5",
    "\n\t",
]

Classes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Words:
    """Words as ids of letters, int64[N, letters], and 1 for each that people found pleasant."""

    fit_ids: Ids
    fit_classes: Classes
    samples: Ids
    held_out: Sequence[str]

    def fresh(self, kind: type[np.integer] = np.int64) -> dict[str, Rows]:
        """The same words in batches of three lengths."""
        lengths = {"held out": WORD_LETTERS, "longer": 29, "one letter": 1}
        return {name: {IDS: spell(self.held_out, length).astype(kind)} for name, length in lengths.items()}


@dataclass(frozen=True, slots=True)
class Sentences:
    """Sentences, and the index of the document that each is from."""

    fit: Sequence[str]
    fit_classes: Classes
    samples: Sequence[str]
    held_out: Sequence[str]

    def fresh(self) -> dict[str, Rows]:
        return {"held out": as_rows(self.held_out), "hard texts": as_rows(_HARD_TEXTS)}


def words() -> Words:
    """VADER's lexicon."""
    lexicon = resources.files("vaderSentiment").joinpath("vader_lexicon.txt").read_text(encoding="utf-8")
    rated = [line.split("\t")[:2] for line in lexicon.splitlines()]
    known = [(word, float(mean) > 0) for word, mean in rated if re.fullmatch("[a-z]+", word)]
    chosen = [known[index] for index in np.random.default_rng(0).permutation(len(known))[:_WORDS]]
    texts, classes = [word for word, _ in chosen], np.array([pleasant for _, pleasant in chosen], np.int64)
    first, second = borders(len(texts))
    return Words(
        spell(texts[:first], WORD_LETTERS),
        classes[:first],
        spell(texts[first:second], WORD_LETTERS),
        texts[second : second + _HELD_OUT_WORDS],
    )


def sentences() -> Sentences:
    """What scikit-learn writes about its data sets, sentence by sentence."""
    loaders = (datasets.load_iris, datasets.load_wine, datasets.load_breast_cancer, datasets.load_diabetes)
    found = [
        (" ".join(sentence.split()), index)
        for index, load in enumerate(loaders)
        for sentence in re.split(r"(?<=[.:])\s|\n\s*\n", load().DESCR)
        if len(sentence.split()) > 2
    ]
    chosen = [found[index] for index in np.random.default_rng(0).permutation(len(found))]
    texts, classes = [text for text, _ in chosen], np.array([index for _, index in chosen], np.int64)
    first, second = borders(len(texts))
    return Sentences(texts[:first], classes[:first], texts[first:second], texts[second:])


def as_rows(texts: Sequence[str]) -> Rows:
    return {TEXT: np.array(texts, dtype=object)[:, None]}
