"""Right answers as people's data have them: which class is meant, or that none is."""

import pytest

from evaluation.classes import class_index

GRADES = ("1", "2", "3")


@pytest.mark.parametrize(
    ("answer", "labels", "index"),
    [
        ("cat", ("dog", "cat"), 1),
        (1.0, GRADES, 0),
        ("1.0", GRADES, 0),
        (3, GRADES, 2),
        (2, ("1.0", "2.0"), 1),
        (-1.0, ("-1", "1"), 0),
        ("1.0", ("1", "1.0"), 1),
    ],
)
def test_a_label_is_found_however_its_number_is_written(answer: object, labels: tuple[str, ...], index: int) -> None:
    assert class_index(answer, labels) == index


@pytest.mark.parametrize(("answer", "index"), [(0, 0), (1.0, 1), ("1", 1), ("1.0", 1), (True, 1), (False, 0)])
def test_where_labels_are_words_a_number_is_the_place_of_a_class(answer: object, index: int) -> None:
    assert class_index(answer, ("no", "yes")) == index


@pytest.mark.parametrize(
    ("answer", "labels"),
    [(0, GRADES), (4.0, GRADES), (2, ("no", "yes")), (-1, ("no", "yes")), (0.5, ("no", "yes")), ("", ("no", "yes"))],
)
def test_what_is_neither_a_label_nor_a_place_is_no_class(answer: object, labels: tuple[str, ...]) -> None:
    assert class_index(answer, labels) is None
