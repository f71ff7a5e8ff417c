"""Character n-grams counted inside an ONNX graph, and the same in Python for training.

Both sides read one table, code point -> letter id, so they agree on every string by construction: upper case is a
second key of the same letter (no locale is asked), whatever separates words is the boundary, every other code point
is `other`. n-grams reach over a boundary nowhere; the text begins and ends with one. Padding in a batch is boundary
too, which adds no n-gram that has a feature. scikit-learn's `char_wb` cannot be converted and `char` lowers case by
locale: hence this.

The features are TF-IDF, brought to unit length: Salton and Buckley 1988.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from sklearn.feature_extraction.text import TfidfVectorizer

from exporter.signature import BATCH, OPSET

BOUNDARY, OTHER, FIRST_LETTER = 0, 1, 2
SEPARATORS = " \t\n\r\x0b\x0c\x00\xa0\u202f_.,;:!?¡¿'\"’‘“”„«»‹›()[]{}<>/\\|-–—…·•*+=&%$€£#@^`´~°0123456789"
LONGEST = 4
# Marks padding between the tokenizer and the table; as a text of more than one character no text can contain it.
_PADDING = "[end]"


@dataclass(frozen=True, slots=True)
class NgramFeatures:
    """The table of letters, and the n-grams (as tuples of letter ids) with their weights, feature by feature."""

    letters: dict[str, int]
    ngrams: tuple[tuple[int, ...], ...]
    weights: NDArray[np.float32]

    def transform(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32[N, features]: what the graph computes."""
        features = {ngram: position for position, ngram in enumerate(self.ngrams)}
        counts = np.zeros((len(texts), len(self.ngrams)), np.float32)
        for row, text in enumerate(texts):
            for ngram in _ngrams(_ids(text, self.letters)):
                if (position := features.get(ngram)) is not None:
                    counts[row, position] += 1
        weighted = counts * self.weights
        lengths = np.sqrt((weighted * weighted).sum(axis=1, keepdims=True))
        unit: NDArray[np.float32] = np.divide(weighted, lengths, out=np.zeros_like(weighted), where=lengths > 0)
        return unit


def learn(texts: Sequence[str], feature_count: int) -> NgramFeatures:
    """The `feature_count` n-grams of up to LONGEST letters that most texts have, weighted by their rarity."""
    alphabet = sorted({letter for text in texts for letter in text.lower() if letter.isalpha()})
    letters = _table(alphabet)
    vectorizer = TfidfVectorizer(
        analyzer=lambda text: list(_ngrams(_ids(text, letters))), max_features=feature_count, sublinear_tf=False
    )
    vectorizer.fit(texts)
    ngrams = tuple(vectorizer.get_feature_names_out())
    return NgramFeatures(letters, ngrams, vectorizer.idf_.astype(np.float32))


def graph(features: NgramFeatures, text: str, output: str) -> onnx.ModelProto:
    """A model: `text` STRING [batch, 1] -> `output` FLOAT [batch, features]. The tokenizer is ONNX Runtime's own."""
    letters = features.letters | {_PADDING: BOUNDARY}
    nodes = [
        # An empty separator means: every code point is a token. -> [batch, 1, longest]
        helper.make_node(
            "Tokenizer", [text], ["characters"], domain="com.microsoft",
            separators=[""], mark=0, mincharnum=1, pad_value=_PADDING,
        ),
        helper.make_node("Squeeze", ["characters", "one"], ["rows_of_characters"]),
        helper.make_node(
            "LabelEncoder", ["rows_of_characters"], ["ids"], domain="ai.onnx.ml",
            keys_strings=list(letters), values_int64s=list(letters.values()), default_int64=OTHER,
        ),
        helper.make_node("Pad", ["ids", "ends", "boundary"], ["bounded"]),
        _counting_node(features, "bounded", "weighted"),
        helper.make_node("LpNormalization", ["weighted"], [output], axis=1, p=2),
    ]  # fmt: skip
    constants = [
        helper.make_tensor("one", TensorProto.INT64, [1], [1]),
        helper.make_tensor("ends", TensorProto.INT64, [4], [0, 1, 0, 1]),
        helper.make_tensor("boundary", TensorProto.INT64, [], [BOUNDARY]),
    ]
    given = helper.make_tensor_value_info(text, TensorProto.STRING, [BATCH, 1])
    answered = helper.make_tensor_value_info(output, TensorProto.FLOAT, [BATCH, len(features.ngrams)])
    # ONNX knows no Tokenizer: without this its shape inference meets an operator's unknown output and crashes.
    characters = helper.make_tensor_value_info("characters", TensorProto.STRING, [BATCH, 1, "characters"])
    domains = [("", OPSET), ("ai.onnx.ml", 2), ("com.microsoft", 1)]
    return helper.make_model(
        helper.make_graph(nodes, "ngrams", [given], [answered], constants, value_info=[characters]),
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in domains],
        ir_version=8,
    )


def _counting_node(features: NgramFeatures, ids: str, output: str) -> onnx.NodeProto:
    """The operator wants its n-grams grouped by length; `ngram_indexes` says which feature each is."""
    order = sorted(range(len(features.ngrams)), key=lambda position: len(features.ngrams[position]))
    pool = [letter for position in order for letter in features.ngrams[position]]
    lengths = np.array([len(features.ngrams[position]) for position in order])
    starts = [int((lengths[lengths < length]).sum()) for length in range(1, LONGEST + 1)]
    return helper.make_node(
        "TfIdfVectorizer", [ids], [output],
        mode="TFIDF", min_gram_length=1, max_gram_length=LONGEST, max_skip_count=0,
        ngram_counts=starts, ngram_indexes=order, pool_int64s=pool,
        weights=[float(features.weights[position]) for position in order],
    )  # fmt: skip


def _table(alphabet: Sequence[str]) -> dict[str, int]:
    table = dict.fromkeys(SEPARATORS, BOUNDARY)
    for position, letter in enumerate(alphabet, FIRST_LETTER):
        table[letter] = position
        if len(letter.upper()) == 1:
            table.setdefault(letter.upper(), position)
    return table


def _ids(text: str, letters: dict[str, int]) -> list[int]:
    return [BOUNDARY, *(letters.get(character, OTHER) for character in text), BOUNDARY]


def _ngrams(ids: list[int]) -> "list[tuple[int, ...]]":
    """Those of up to LONGEST ids with a boundary at most as their first or last, and not alone."""
    return [
        ngram
        for length in range(1, LONGEST + 1)
        for ngram in zip(*(ids[offset:] for offset in range(length)), strict=False)
        if BOUNDARY not in ngram[1:-1] and ngram not in {(BOUNDARY,), (BOUNDARY, BOUNDARY)}
    ]
