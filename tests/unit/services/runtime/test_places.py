"""Rows in errors are counted as the caller of a request in parts counts them."""

import pytest

from services.runtime.errors import invalid_input
from services.runtime.places import in_request


@pytest.mark.parametrize(
    ("message", "field", "moved_message", "moved_field"),
    [
        ("texts[3]: no [0] in row 5", "texts[3]", "texts[35]: no [0] in row 5", "texts[35]"),
        ("rows[0].age: got 7", "rows[0].age", "rows[32].age: got 7", "rows[32].age"),
        ("input 'x': row 3, column 'row 1'", "inputs.x", "input 'x': row 35, column 'row 1'", "inputs.x"),
        ("input 'row 2': row 3", "inputs.row 2", "input 'row 2': row 35", "inputs.row 2"),
        ("top_k: at most 5, got row 9", "top_k", "top_k: at most 5, got row 9", "top_k"),
    ],
)
def test_the_place_at_the_beginning_is_moved_and_nothing_else(
    message: str, field: str, moved_message: str, moved_field: str
) -> None:
    moved = in_request(invalid_input(message, field), first_row=32)
    assert (moved.message, moved.field) == (moved_message, moved_field)


def test_of_the_first_part_nothing_is_moved() -> None:
    assert in_request(invalid_input("texts[3]: bad", "texts[3]"), first_row=0).message == "texts[3]: bad"


def test_it_is_a_copy_without_frames() -> None:
    error = invalid_input("texts[3]: bad")
    with pytest.raises(type(error)):
        raise error
    assert in_request(error, first_row=0).__traceback__ is None
