"""Rows kept with a version come back as they were, and stay few."""

import numpy as np
import pytest

from exporter.errors import ManifestError
from exporter.parity_rows import MAX_BYTES, MAX_ROWS, Comparison, kept, read


def test_numbers_come_back_bit_for_bit() -> None:
    rows = np.array([[1.5, np.nan], [-0.0, np.inf]], np.float32)
    (back,) = read(kept([Comparison({"x": rows}, {"y": rows.astype(np.float64)})]))
    assert back.rows["x"].tobytes() == rows.tobytes()
    assert back.reference["y"].dtype == np.float64


def test_texts_come_back_with_their_nuls_and_empty_ones() -> None:
    texts = np.array([["a\x00"], [""], ["ǅ 日本"], ["\x00"]], object)
    (back,) = read(kept([Comparison({"text": texts}, {"label": texts})]))
    assert back.rows["text"].tolist() == texts.tolist()
    assert back.reference["label"].shape == (4, 1)


def test_rows_of_other_lengths_stay_comparisons_of_their_own() -> None:
    lengths = [Comparison({"ids": np.zeros((3, n), np.int64)}, {"y": np.zeros((3, n))}) for n in (5, 9)]
    assert [one.rows["ids"].shape for one in read(kept(lengths))] == [(3, 5), (3, 9)]


def test_of_many_rows_a_few_are_kept_from_the_first_to_the_last() -> None:
    rows = np.arange(10_000, dtype=np.int64)[:, None]
    (back,) = read(kept([Comparison({"x": rows}, {"y": rows})]))
    assert len(back.rows["x"]) == MAX_ROWS
    assert back.rows["x"][[0, -1], 0].tolist() == [0, 9_999]
    assert back.rows["x"].tolist() == back.reference["y"].tolist()


def test_of_large_rows_as_many_are_kept_as_fit() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 10_000), np.uint8)
    content = kept([Comparison({"x": noise}, {"y": noise[:, :1]})])
    assert len(content) <= MAX_BYTES
    assert 1 < len(read(content)[0].rows["x"]) < 50


def test_one_row_is_kept_however_large_it_is() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 2 * MAX_BYTES), np.uint8)
    (back,) = read(kept([Comparison({"x": noise}, {"y": noise})]))
    assert len(back.rows["x"]) == 1


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", kept([])], ids=["empty", "cut short", "no rows"])
def test_a_file_that_holds_no_rows_is_refused(content: bytes) -> None:
    with pytest.raises(ManifestError, match=r"parity\.npz"):
        read(content)
