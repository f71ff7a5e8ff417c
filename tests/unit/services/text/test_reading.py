"""Texts to token ids: what is cut, padded, counted and refused."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Encoding, Tokenizer

from argosy.v1 import manifest_pb2 as pb
from services.runtime.errors import Cause, ServingError
from services.text.reading import MAX_TEXT_BYTES, StringReader, TextReader, TokenReader, load_tokenizer

PAD, UNKNOWN, CLS, SEP, GOOD, BAD, CAFE, DAY = range(8)


def reader(directory: Path, file: str = "tokenizer.json", max_tokens: int = 6, pad_id: int = PAD) -> TokenReader:
    spec = pb.TokenReading(
        ids_input="ids", mask_input="mask", types_input="types", max_tokens=max_tokens, pad_id=pad_id
    )
    return TokenReader(spec, load_tokenizer(directory / file, max_tokens), np.dtype(np.int64))


class Counted:
    """A tokenizer that counts the characters that it is given."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer, self.characters = tokenizer, 0

    def encode_batch(self, texts: list[str]) -> list[Encoding]:
        self.characters += sum(map(len, texts))
        return self._tokenizer.encode_batch(texts)

    def encode(self, text: str) -> Encoding:
        self.characters += len(text)
        return self._tokenizer.encode(text)


def counting(of: TokenReader) -> tuple[TokenReader, Counted]:
    counted = Counted(of.tokenizer)
    return replace(of, tokenizer=counted), counted


def refusal(found: TextReader, *texts: str) -> ServingError:
    with pytest.raises(ServingError) as raised:
        found.read(texts)
    assert raised.value.cause is Cause.INVALID_INPUT
    return raised.value


def test_a_text_becomes_the_ids_of_its_tokens(directory: Path) -> None:
    found = reader(directory)
    inputs = found.collate([found.read(["Good café, day"])])
    assert inputs["ids"].tolist() == [[CLS, GOOD, CAFE, UNKNOWN, DAY, SEP]]
    assert inputs["mask"].tolist() == [[1] * 6]
    assert inputs["types"].tolist() == [[0] * 6]
    assert {array.dtype for array in inputs.values()} == {np.dtype(np.int64)}


def test_the_shorter_texts_of_a_batch_are_padded_to_its_longest(directory: Path) -> None:
    found = reader(directory, pad_id=9)
    inputs = found.collate([found.read(["good", "good bad day"]), found.read(["bad"])])
    assert inputs["ids"].tolist() == [[CLS, GOOD, SEP, 9, 9], [CLS, GOOD, BAD, DAY, SEP], [CLS, BAD, SEP, 9, 9]]
    assert inputs["mask"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]


def test_a_text_of_more_tokens_than_the_model_reads_is_cut_and_says_so(directory: Path) -> None:
    found = reader(directory, max_tokens=4)
    request = found.read(["good bad", "good bad day"])
    assert found.collate([request])["ids"].tolist() == [[CLS, GOOD, BAD, SEP], [CLS, GOOD, BAD, SEP]]
    assert [(r.token_count, r.truncated) for r in request.readings()] == [(4, False), (4, True)]


def test_a_tokenizer_that_cuts_at_the_left_is_refused(directory: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer.enable_truncation(3, direction="left")
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ServingError, match="cuts long texts at the left") as raised:
        load_tokenizer(tmp_path / "tokenizer.json", 6)
    assert raised.value.cause is Cause.REFUSED_LOAD


def test_only_the_inputs_that_the_graph_has_are_fed(directory: Path) -> None:
    spec = pb.TokenReading(ids_input="x", max_tokens=6)
    found = TokenReader(spec, load_tokenizer(directory / "tokenizer.json", 6), np.dtype(np.int32))
    inputs = found.collate([found.read(["good"])])
    assert list(inputs) == ["x"]
    assert inputs["x"].dtype == np.int32


def test_the_mask_of_a_request_is_its_own_in_the_width_of_the_batch(directory: Path) -> None:
    request = reader(directory).read(["good", "good bad"])
    assert request.mask(6).tolist() == [[True] * 3 + [False] * 3, [True] * 4 + [False] * 2]


def test_a_nul_is_a_character_like_others_for_the_tokenizer_to_judge(directory: Path) -> None:
    # BERT's normalizer takes control characters out.
    found = reader(directory)
    assert found.collate([found.read(["go\0od"])])["ids"].tolist() == [[CLS, GOOD, SEP]]
    assert StringReader("text").collate([StringReader("text").read(["a\0b"])])["text"].tolist() == [[b"a\0b"]]


def test_ten_megabytes_of_text_are_refused_before_they_are_tokenised(directory: Path) -> None:
    found, tokenizer = counting(reader(directory))
    error = refusal(found, "good", "good " * 2_000_000)
    assert tokenizer.characters == 0
    assert error.reason == "TEXT_TOO_LONG"
    assert str(error) == "texts[1]: expected at most 1048576 bytes of UTF-8, got 10000000"


def test_the_limit_counts_bytes_and_not_characters() -> None:
    found = StringReader("text")
    at_the_limit = "é" * (MAX_TEXT_BYTES // 2)
    assert found.read([at_the_limit]).texts == (at_the_limit,)
    assert refusal(found, at_the_limit + "x").field == "texts[0]"


def test_a_request_without_texts_gets_the_one_declared_answer(directory: Path) -> None:
    for found in (reader(directory), StringReader("text")):
        assert str(refusal(found)) == "texts: at least one is needed, got 0"


def test_an_empty_text_is_read_where_the_tokenizer_gives_it_tokens_and_refused_where_it_has_none(
    directory: Path,
) -> None:
    assert reader(directory).read([""]).readings()[0].token_count == 2
    error = refusal(reader(directory, "bare.json"), "good", " ")
    assert (error.reason, str(error)) == ("EMPTY_TEXT", "texts[1]: expected at least one token, got none")


def test_a_graph_that_reads_texts_gets_their_utf_8() -> None:
    found = StringReader("text")
    request = found.read(["grüße", ""])
    inputs = found.collate([request, found.read(["日本"])])
    assert inputs["text"].dtype == np.object_
    assert inputs["text"].tolist() == [["grüße".encode()], [b""], ["日本".encode()]]
    assert [(r.token_count, r.truncated) for r in request.readings()] == [(0, False), (0, False)]


@pytest.mark.parametrize("gap", [1, 7, 300])
def test_a_long_text_is_read_as_if_all_of_it_had_been_tokenised(directory: Path, gap: int) -> None:
    chance = random.Random(gap)
    words = ["good", "bad", "café", "sunny", "sun" * 40, ",", "😀"]
    text = "".join(chance.choice(words) + " " * chance.randint(1, gap) for _ in range(3000))
    for max_tokens in (4, 40, 5000):
        found = reader(directory, max_tokens=max_tokens)
        (whole,) = found.tokenizer.encode_batch([text])
        (tokens,) = found.read([text]).tokens
        assert (tokens.ids, tokens.offsets) == (whole.ids, whole.offsets)
        assert tokens.truncated == bool(whole.overflowing)


def test_a_text_that_begins_with_nothing_is_read_to_where_it_says_something(directory: Path) -> None:
    (tokens,) = reader(directory).read([" " * 100_000 + "good day"]).tokens
    assert tokens.ids == [CLS, GOOD, DAY, SEP]
    assert tokens.offsets[1] == (100_000, 100_004)
    assert not tokens.truncated


def test_a_mebibyte_of_text_costs_no_more_than_its_beginning(directory: Path) -> None:
    found, tokenizer = counting(reader(directory, max_tokens=256))
    request = found.read(["good, " * 170_000])
    assert tokenizer.characters < 10_000
    assert request.readings()[0].truncated
