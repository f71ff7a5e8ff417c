"""Words of ten languages in Latin script, from the frequency lists of `wordfreq` (Speer 2022).

A word belongs to a language in which it is at least ten times as frequent as in each of the nine others; what several
languages share is left out, because no one could say which it is. The lists are in cBpack: a header, then the words in
bins of 0.01 decades of frequency, most frequent first.
"""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgpack
import numpy as np
from numpy.typing import NDArray

from training.packages import read_member

LANGUAGES: Mapping[str, str] = {
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "it": "Italian",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "sv": "Swedish",
}
LABELS = list(LANGUAGES.values())
WORDS_A_LANGUAGE = 6000
# Bins of a hundredth of a decade: ten times as frequent.
CLEAR_MARGIN = 100
# One bin behind the rarest words of the small lists, which end at a frequency of a millionth.
ABSENT = 601
MAX_PHRASE_WORDS = 8


@dataclass(frozen=True, slots=True)
class Words:
    """Texts with the index of their language in LABELS."""

    texts: list[str]
    languages: NDArray[np.int64]

    def rows(self, chosen: NDArray[np.intp]) -> "Words":
        return Words([self.texts[row] for row in chosen], self.languages[chosen])


def read_words(archive: Path) -> Words:
    """The most frequent words that belong to one language, WORDS_A_LANGUAGE of each."""
    lists = {code: read_bins(read_member(archive, f"data/small_{code}.msgpack.gz")) for code in LANGUAGES}
    texts: list[str] = []
    languages: list[int] = []
    for position, (code, bins) in enumerate(lists.items()):
        others = [lists[other] for other in lists if other != code]
        own = [word for word, bin_ in bins.items() if word.isalpha() and _is_clear(word, bin_, others)][
            :WORDS_A_LANGUAGE
        ]
        texts += own
        languages += [position] * len(own)
    return Words(texts, np.array(languages))


def read_bins(content: bytes) -> dict[str, int]:
    """A cBpack list: word -> bin, most frequent first. Raises ValueError where it is none."""
    header, *bins = msgpack.loads(gzip.decompress(content), raw=False)
    if header.get("format") != "cB" or header.get("version") != 1:
        raise ValueError("no cBpack list of version 1")
    return {word: position for position, words in enumerate(bins) for word in words}


def phrases(words: Words, count: int, lengths: tuple[int, int], seed: int) -> Words:
    """`count` texts of several words of one language each, drawn at random: as a caller may send more than a word."""
    random = np.random.default_rng(seed)
    by_language = [np.flatnonzero(words.languages == position) for position in range(len(LABELS))]
    languages = random.integers(0, len(LABELS), count)
    texts = [
        " ".join(words.texts[row] for row in random.choice(by_language[language], random.integers(*lengths)))
        for language in languages
    ]
    return Words(texts, languages)


def _is_clear(word: str, bin_: int, others: list[dict[str, int]]) -> bool:
    return all(other.get(word, ABSENT + CLEAR_MARGIN) - bin_ >= CLEAR_MARGIN for other in others)
