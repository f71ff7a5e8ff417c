"""Words to ids inside a graph, and Keras' TextVectorization, which becomes one."""

import re
import string
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from exporter.errors import SourceError
from exporter.run_graph import run_graph
from exporter.sources.keras_texts import text_model
from exporter.words import ASCII_SPACES, UNICODE_SPACES, WordIds

VOCABULARY = {"good": 2, "day": 3, "dont": 4, "école": 5, "İ": 6, "a": 7}
TEXTS = (
    *("", " ", "good day", "  good\tday\n", "good\x0bday\x0ca", "good\xa0day", "good\u3000day", "x\x1cday", "!?"),
    *("Don't, DAY!", "(good) d.a.y", "École école İ", "a" * 700, "good, day. " * 90, "\x00 a", "😀 day"),
)


def ids(rule: WordIds, texts: tuple[str, ...] = TEXTS) -> list[list[int]]:
    found: list[list[int]] = run_graph(rule.graph(), {"text": np.array(texts, object)[:, None]})["ids"].tolist()
    return found


def by_hand(rule: WordIds, text: str) -> list[int]:
    table = dict(zip(rule.words, rule.ids, strict=True))
    kept = "".join(letter for letter in text if letter not in rule.marks)
    if rule.lower_ascii:
        kept = re.sub("[A-Z]", lambda found: found[0].lower(), kept)
    return [table.get(word, rule.unknown) for word in re.split("[" + "".join(rule.separators) + "]", kept) if word]


@pytest.mark.parametrize("separators", [ASCII_SPACES, UNICODE_SPACES], ids=["ASCII", "Unicode"])
@pytest.mark.parametrize("marks", ["", string.punctuation], ids=["marks stay", "no marks"])
@pytest.mark.parametrize("lower_ascii", [False, True])
def test_the_graph_follows_the_rule(separators: tuple[str, ...], marks: str, lower_ascii: bool) -> None:
    rule = WordIds(
        [*VOCABULARY], [*VOCABULARY.values()], 1, separators=separators, marks=marks, lower_ascii=lower_ascii
    )
    expected = [by_hand(rule, text) for text in TEXTS]
    longest = max(map(len, expected))
    assert ids(rule) == [row + [0] * (longest - len(row)) for row in expected]


def test_rows_are_cut_and_filled_to_a_length() -> None:
    rule = WordIds([*VOCABULARY], [*VOCABULARY.values()], 1, padding=9, length=2)
    assert ids(rule, ("a", "good day a", "")) == [[7, 9], [2, 3], [9, 9]]


def test_a_batch_of_empty_texts_has_no_words() -> None:
    assert ids(WordIds(["a"], [2], 1, marks="!"), ("", "!")) == [[], []]


def vectorization(**settings: object) -> layers.TextVectorization:
    layer = layers.TextVectorization(**settings)
    layer.adapt(["A good day", "bad weather, don't!", "L'école"])
    return layer


def behind(layer: layers.TextVectorization) -> keras.Model:
    network = [keras.Input((1,), dtype="string"), layer, layers.Embedding(20, 3, mask_zero=True)]
    return keras.Sequential([*network, layers.LSTM(4), layers.Dense(2, "softmax")])


@pytest.mark.parametrize("standardize", [None, "lower", "strip_punctuation", "lower_and_strip_punctuation"])
def test_keras_own_ids_are_those_of_the_graph(standardize: str | None) -> None:
    layer = vectorization(standardize=standardize, output_sequence_length=8)
    split = text_model(behind(layer))
    assert split is not None
    assert ids(split.words) == layer(np.array(TEXTS)).numpy().tolist()


def test_a_saved_functional_model_is_split_behind_its_texts(tmp_path: Path) -> None:
    text = keras.Input((1,), dtype="string")
    hidden = layers.Embedding(20, 3)(vectorization(output_sequence_length=4)(text))
    keras.Model(text, layers.Dense(2)(hidden)).save(tmp_path / "functional.keras")
    network = keras.saving.load_model(tmp_path / "functional.keras")
    split = text_model(network)
    assert split is not None
    texts = ("good day", "L'école")
    given = np.array(texts, object)[:, None]
    graph = split.graph("text", ["added"])
    expected = network(keras.ops.convert_to_tensor(given)).numpy()
    np.testing.assert_allclose(run_graph(graph, {"text": given})["added"], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"standardize": lambda text: text}, "a 'standardize' of your own"),
        ({"split": "character"}, "split='whitespace', no ngrams"),
        ({"ngrams": 2}, "split='whitespace', no ngrams"),
        ({"output_mode": "tf_idf"}, "output_mode='tf_idf' cannot be converted: count words by scikit-learn"),
    ],
)
def test_a_rule_that_no_graph_can_follow_is_refused(settings: dict[str, object], says: str) -> None:
    network = keras.Sequential([keras.Input((1,), dtype="string"), vectorization(**settings)])
    with pytest.raises(SourceError, match=re.escape(says)):
        text_model(network)


def test_a_model_without_texts_is_left_alone() -> None:
    assert text_model(keras.Sequential([keras.Input((2,)), layers.Dense(2)])) is None
