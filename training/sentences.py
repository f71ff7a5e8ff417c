"""Sentences with human sentiment scores, from VADER's paper (Hutto and Gilbert 2014), and VADER's own answers to them.

23.6 thousand sentences of four kinds (film reviews, product reviews, tweets, newspaper editorials); each has the mean
of twenty people's scores from -4 to 4. A review's sentences stay together when rows are held out, so that none is
judged by a model that has read its neighbours.
"""

import html
import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from training.packages import read_member

LABELS = ["negative", "neutral", "positive"]
# People's mean scores within ±0.5 of 4 are called neutral; VADER calls its own within ±0.05 of 1 so.
HUMAN_THRESHOLD = 0.5
VADER_THRESHOLD = 0.05
TEST_SHARE = 0.15

Classes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sentences:
    """Texts with their class (index in LABELS) and the document that each is from."""

    texts: list[str]
    classes: Classes
    documents: list[str]

    def rows(self, chosen: NDArray[np.intp]) -> "Sentences":
        return Sentences(
            [self.texts[row] for row in chosen], self.classes[chosen], [self.documents[row] for row in chosen]
        )


def read_sentences(archive: Path) -> Sentences:
    """Every sentence once, from the tables inside the package's resources."""
    texts: dict[str, tuple[float, str]] = {}
    resources = io.BytesIO(read_member(archive, "additional_resources/hutto_ICWSM_2014.tar.gz"))
    with tarfile.open(fileobj=resources) as tables:
        for member in sorted(tables.getmembers(), key=lambda member: member.name):
            if not member.name.endswith("_GroundTruth.txt") or (table := tables.extractfile(member)) is None:
                continue
            for line in table.read().decode("utf-8", errors="replace").splitlines():
                number, score, text = line.split("\t", 2)
                texts.setdefault(html.unescape(text).strip(), (float(score), f"{member.name}#{number.split('_')[0]}"))
    scores = np.array([score for score, _ in texts.values()])
    return Sentences(list(texts), classes_of(scores, HUMAN_THRESHOLD), [document for _, document in texts.values()])


def read_lexicon(archive: Path) -> Sentences:
    """VADER's words with their human scores, as one-word sentences: words that the sentences do not have."""
    lines = read_member(archive, "vaderSentiment/vader_lexicon.txt").decode().splitlines()
    entries = [line.split("\t")[:2] for line in lines if line]
    scores = np.array([float(score) for _, score in entries])
    return Sentences([word for word, _ in entries], classes_of(scores, HUMAN_THRESHOLD), [word for word, _ in entries])


def held_out(sentences: Sentences, seed: int) -> tuple[Sentences, Sentences]:
    """Training rows and test rows; no document is in both."""
    split = GroupShuffleSplit(1, test_size=TEST_SHARE, random_state=seed)
    train, test = next(split.split(sentences.texts, sentences.classes, sentences.documents))
    return sentences.rows(train), sentences.rows(test)


def classes_of(scores: NDArray[np.float64], threshold: float) -> Classes:
    """0 negative, 1 neutral, 2 positive."""
    return np.where(scores <= -threshold, 0, np.where(scores >= threshold, 2, 1)).astype(np.int64)


def vader_classes(texts: Sequence[str]) -> Classes:
    """VADER's answers by the thresholds that its authors recommend."""
    vader = SentimentIntensityAnalyzer()
    compound = np.array([vader.polarity_scores(text)["compound"] for text in texts])
    return classes_of(compound, VADER_THRESHOLD)
