"""What a session is run on: padded rows and groups of similar length, and that nobody sees either."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from services.runtime.front import Array
from services.runtime.shaping import MAX_PADDING, by_length, run_by_length, run_padded

# MiniLM's tokens of 65 of VADER's sentences, every 369th.
SENTENCES = (
    *(20, 10, 46, 25, 31, 18, 28, 7, 23, 7, 12, 10, 18, 47, 16, 42, 44, 33, 25, 14, 59, 34, 9, 34, 11, 49, 16, 28),
    *(15, 29, 41, 38, 18, 13, 19, 34, 16, 45, 13, 14, 14, 15, 21, 37, 37, 25, 10, 18, 32, 13, 27, 25, 26, 11, 27, 12),
    *(12, 32, 24, 26, 25, 38, 24, 21, 29),
)

Runs = list[tuple[int, ...]]


def recording(shapes: Runs) -> Callable[[Mapping[str, Array]], dict[str, Array]]:
    """A model that sums each row and gives each element back; it notes the shapes that it was run on."""

    def run(inputs: Mapping[str, Array]) -> dict[str, Array]:
        x = inputs["x"]
        shapes.append(x.shape)
        return {"sum": x.sum(axis=1), "each": x * 2}

    return run


def padded_rows(*lengths: int) -> Array:
    rows = np.zeros((len(lengths), max(lengths)), np.int64)
    for row, length in enumerate(lengths):
        rows[row, :length] = row + 1
    return rows


def test_rows_are_padded_to_the_next_size_and_nobody_sees_it() -> None:
    shapes: Runs = []
    x = padded_rows(1, 1, 1)
    outputs = run_padded(recording(shapes), {"x": x}, (1, 4, 8))
    assert shapes == [(4, 1)]
    assert outputs["sum"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(("rows", "sizes"), [(4, (1, 4, 8)), (9, (1, 4, 8)), (3, ())])
def test_rows_that_have_a_size_or_none_that_holds_them_are_run_as_they_are(rows: int, sizes: tuple[int, ...]) -> None:
    shapes: Runs = []
    run_padded(recording(shapes), {"x": padded_rows(*[1] * rows)}, sizes)
    assert shapes == [(rows, 1)]


def test_strings_can_be_padded() -> None:
    outputs = run_padded(dict, {"s": np.array([b"a", b"b"], np.object_)}, (4,))
    assert outputs["s"].tolist() == [b"a", b"b"]


def test_every_row_is_in_one_group() -> None:
    groups = by_length(SENTENCES)
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(SENTENCES)))


def test_of_no_group_more_than_a_tenth_is_padding() -> None:
    for rows in by_length(SENTENCES):
        lengths = [SENTENCES[row] for row in rows]
        assert sum(lengths) >= (1 - MAX_PADDING) * len(lengths) * max(lengths)


def test_rows_of_one_length_stay_together() -> None:
    assert [rows.tolist() for rows in by_length([5, 5, 5])] == [[0, 1, 2]]


def test_where_no_padding_is_allowed_a_group_has_rows_of_one_length() -> None:
    shapes: Runs = []
    x = padded_rows(20, 19, 20)
    outputs = run_by_length(recording(shapes), {"x": x}, (20, 19, 20), max_padding=0)
    assert shapes == [(2, 20), (1, 19)]
    assert np.array_equal(outputs["each"], x * 2)


def test_groups_are_run_as_long_as_their_longest_and_come_back_in_their_rows_places() -> None:
    shapes: Runs = []
    x = padded_rows(2, 20, 2, 19)
    outputs = run_by_length(recording(shapes), {"x": x}, (2, 20, 2, 19))
    assert shapes == [(2, 20), (2, 2)]
    assert outputs["sum"].tolist() == [2, 40, 6, 76]
    assert np.array_equal(outputs["each"], x * 2)


def test_rows_without_lengths_are_run_as_they_are() -> None:
    shapes: Runs = []
    run_by_length(recording(shapes), {"x": padded_rows(1, 9)}, ())
    assert shapes == [(2, 9)]
