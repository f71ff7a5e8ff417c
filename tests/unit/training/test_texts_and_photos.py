"""How texts and photos become rows, and what is counted of the answers, on small made-up ones."""

import json

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from training.faces import FACE_COUNTS, crowd, right_counts
from training.grammar import FAULTS, KEEP, SOUND, faults_found
from training.photos import cropped, letterboxed, normalised, photo
from training.tokens import encode, published, token_texts


@pytest.fixture
def tokenizer() -> bytes:
    """Words of a small vocabulary; cuts at 3 tokens and fills up to 8, as tokenizers of packages do."""
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "a": 2, "cat": 3, "and": 4, "dog": 5}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.enable_truncation(3)
    made.enable_padding(length=8)
    return made.to_str().encode()


def test_a_published_tokenizer_neither_cuts_nor_fills_up(tokenizer: bytes) -> None:
    encoding = Tokenizer.from_str(published(tokenizer).decode()).encode("a cat and a dog")

    assert encoding.ids == [2, 3, 4, 2, 5]


def test_a_published_tokenizer_keeps_everything_else(tokenizer: bytes) -> None:
    before, after = json.loads(tokenizer), json.loads(published(tokenizer))

    assert {name for name in before if before[name] != after[name]} == {"truncation", "padding"}


def test_the_shorter_texts_of_a_batch_are_filled_up_and_masked(tokenizer: bytes) -> None:
    rows = encode(published(tokenizer), ["a dog", "a cat and a dog"], width=6)

    assert rows.ids.tolist() == [[2, 5, 0, 0, 0, 0], [2, 3, 4, 2, 5, 0]]
    assert rows.mask.tolist() == [[1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 0]]


def test_tokens_are_named_as_the_vocabulary_has_them(tokenizer: bytes) -> None:
    assert token_texts(published(tokenizer), ["a horse"]) == [["a", "[UNK]"]]


def test_a_fault_counts_as_mended_where_the_token_at_fault_gets_the_edit() -> None:
    tokens = [*(text.replace(".", "").split() for text, _, _ in FAULTS), *(text.split() for text in SOUND)]
    left_be = [[KEEP] * (len(row) + 2) for row in tokens]
    words, (_, at_fault, mending) = tokens[0], FAULTS[0]
    mended = [[min(mending) if word == at_fault else KEEP for word in words], *left_be[1:]]

    assert [metric.value for metric in faults_found(left_be, tokens)] == [0.0, 1.0]
    assert faults_found(mended, tokens)[0].value == 1 / len(FAULTS)


def test_an_edit_of_a_sound_sentence_counts_against_the_tagger() -> None:
    tokens = [*(text.split() for text, _, _ in FAULTS), *(text.split() for text in SOUND)]
    answers = [[KEEP] * len(row) for row in tokens]
    answers[-1][0] = "$DELETE"

    kept = faults_found(answers, tokens)[1]

    assert kept.value == (kept.row_count - 1) / kept.row_count


def test_a_crop_takes_the_centre_of_the_shorter_side() -> None:
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, 40:] = 200

    crop = cropped(image, shorter_side=20, size=16)

    assert crop.shape == (16, 16, 3)
    assert crop[:, :7].max() == 0
    assert crop[:, 9:].min() == 200


def test_a_letterbox_keeps_the_picture_at_the_upper_left_of_black() -> None:
    image = np.full((30, 60, 3), 255, np.uint8)

    canvas = letterboxed(image, 40)

    assert canvas[:20].min() == 255
    assert canvas[20:].max() == 0


def test_normalising_puts_channels_first() -> None:
    image = np.zeros((2, 3, 3), np.uint8)
    image[..., 1] = 255

    values = normalised(image, mean=(0.5, 0.5, 0.5), std=(0.5, 0.25, 0.5))

    assert values.shape == (3, 2, 3)
    assert values.dtype == np.float32
    assert values[:, 0, 0].tolist() == [-1.0, 2.0, -1.0]


@pytest.mark.parametrize("name", FACE_COUNTS)
def test_each_photo_is_at_hand_in_three_colours(name: str) -> None:
    assert photo(name).shape[2] == 3


def test_a_photo_with_a_face_too_many_is_not_right() -> None:
    scores = np.zeros((len(FACE_COUNTS), 3), np.float32)
    for row, count in enumerate(FACE_COUNTS.values()):
        scores[row, :count] = 0.95
    assert right_counts(scores).value == 1

    scores[-1, 2] = 0.99

    assert right_counts(scores).value == (len(FACE_COUNTS) - 1) / len(FACE_COUNTS)


def test_a_crowd_shows_the_face_as_often_as_asked() -> None:
    face = np.full((100, 100, 3), 100, np.uint8)
    face[:50] = 0

    picture = crowd(face, 4, np.random.default_rng(0))

    assert picture.shape == (512, 512, 3)
    assert picture[100, 100].mean() > picture[30, 30].mean() + 30
