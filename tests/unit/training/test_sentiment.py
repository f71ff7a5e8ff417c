"""The sentiment network and its tokenizer: padding must not change an answer, and no text is empty."""

import numpy as np
import pytest
import torch

from exporter import pytorch
from exporter.verify import run_graph
from training.sentences import Sentences, classes_of, held_out
from training.sentiment import SentimentNetwork, train_tokenizer
from training.tokens import TokenRows, encode

TEXTS = ["", "Good!", "not good at all, not at all", "😀 ÉCOLE", "it was " * 40 + "bad"]


@pytest.fixture(scope="module")
def tokenizer() -> bytes:
    sentences = Sentences(TEXTS * 5, np.zeros(25, np.int64), [str(row) for row in range(25)])
    return train_tokenizer(sentences)


@pytest.fixture(scope="module")
def graph() -> bytes:
    torch.manual_seed(0)
    example = {"ids": np.ones((3, 9), np.int64), "mask": np.ones((3, 9), np.int64)}
    tokens = {1: "tokens"}
    return pytorch.convert(SentimentNetwork(8000, 16), example, ["probabilities"], {"ids": tokens, "mask": tokens})


def answers(graph: bytes, rows: TokenRows) -> np.ndarray:
    return run_graph(graph, {"ids": rows.ids, "mask": rows.mask})["probabilities"]


def test_a_text_has_the_same_answer_alone_and_padded_in_a_batch(graph: bytes, tokenizer: bytes) -> None:
    together = answers(graph, encode(tokenizer, TEXTS))
    alone = np.concatenate([answers(graph, encode(tokenizer, [text])) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_what_stands_in_the_padding_does_not_matter(graph: bytes, tokenizer: bytes) -> None:
    rows = encode(tokenizer, TEXTS)
    filled = TokenRows(np.where(rows.mask == 1, rows.ids, 5), rows.mask)
    np.testing.assert_allclose(answers(graph, filled), answers(graph, rows), atol=1e-6)


def test_an_empty_text_has_a_token_and_an_answer(graph: bytes, tokenizer: bytes) -> None:
    rows = encode(tokenizer, [""])
    assert rows.ids.shape == (1, 1)
    assert answers(graph, rows).sum() == pytest.approx(1)


def test_upper_and_lower_case_have_the_same_tokens(tokenizer: bytes) -> None:
    np.testing.assert_array_equal(encode(tokenizer, ["ÉCOLE Good"]).ids, encode(tokenizer, ["école good"]).ids)


def test_scores_become_classes_at_the_threshold() -> None:
    scores = np.array([-4, -0.5, -0.49, 0, 0.49, 0.5, 4])
    assert classes_of(scores, 0.5).tolist() == [0, 0, 1, 1, 1, 2, 2]


def test_no_document_is_in_both_training_and_test() -> None:
    documents = [str(row // 4) for row in range(400)]
    train, test = held_out(Sentences([str(row) for row in range(400)], np.zeros(400, np.int64), documents), seed=1)
    assert not set(train.documents) & set(test.documents)
    assert len(train.texts) + len(test.texts) == 400
