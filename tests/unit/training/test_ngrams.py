"""n-grams in the graph and in Python: the same for every string, or the published model is not the trained one."""

import numpy as np
import pytest

from exporter.verify import run_graph
from training.ngrams import NgramFeatures, graph, learn

WORDS = ["the", "their", "über", "élan", "école", "strasse", "straße", "ist", "ısı", "das haus", "the house"] * 3
HARD = [
    *("", " ", "É", "ÉCOLE école", "e\u0301cole", "STRASSE Straße ẞ", "İstanbul ıǅ", "don't", "\ufeffabc", "[end]"),
    *("😀 the 👩‍👩‍👧", "日本語", "Привет", "tab\tnew\nline\r\n", "the\x00the", "1234", "the" * 3000, "  the  house "),
]


@pytest.fixture(scope="module")
def features() -> NgramFeatures:
    return learn(WORDS, 60)


def in_graph(features: NgramFeatures, texts: list[str]) -> np.ndarray:
    rows = np.array(texts, dtype=object)[:, None]
    return run_graph(graph(features, "text", "features").SerializeToString(), {"text": rows})["features"]


@pytest.mark.parametrize("text", HARD)
def test_a_hard_string_has_the_same_features_in_the_graph_and_in_python(features: NgramFeatures, text: str) -> None:
    # The graph adds a weight up once an occurrence, in 32 bits: thousands of them leave the fifth digit uncertain.
    np.testing.assert_allclose(in_graph(features, [text]), features.transform([text]), rtol=1e-4, atol=1e-6)


def test_a_string_has_the_same_features_alone_and_beside_longer_ones(features: NgramFeatures) -> None:
    alone = np.concatenate([in_graph(features, [text]) for text in HARD])
    np.testing.assert_allclose(in_graph(features, HARD), alone, atol=1e-6)


def test_upper_and_lower_case_are_the_same(features: NgramFeatures) -> None:
    np.testing.assert_array_equal(in_graph(features, ["ÉCOLE ÜBER"]), in_graph(features, ["école über"]))


def test_the_features_of_a_text_have_unit_length_and_those_of_nothing_are_zero(features: NgramFeatures) -> None:
    lengths = np.linalg.norm(in_graph(features, ["the house", "", "日本語"]), axis=1)
    np.testing.assert_allclose(lengths, [1, 0, 0], atol=1e-6)


def test_no_ngram_reaches_over_a_space(features: NgramFeatures) -> None:
    words_apart = in_graph(features, ["das haus"]) > 0
    each = (in_graph(features, ["das"]) > 0) | (in_graph(features, ["haus"]) > 0)
    np.testing.assert_array_equal(words_apart, each)
