"""The rows that every export tries: which kinds an input has, and what lies in them."""

from dataclasses import replace

import numpy as np
import pytest

from exporter.conversion import Masked
from exporter.errors import SourceError
from exporter.sources.hard_rows import KINDS, ORDINARY, row_sets
from exporter.sources.inputs import TEXT, Input
from exporter.sources.padding import padding_kinds

TABLE = Input("features", "float32", (3,), thresholds={1: (0.1, 7.0)}, typical=((5.0, 1.0),) * 3, large=1e3)
IDS = Input("ids", "int64", ("tokens",), whole_numbers=(1, 99))
WORDS = Input("text", TEXT, (1,), categories=("red", "green"))
IMAGE = Input("image", "float32", (3, "height", "width"))


def kinds(*inputs: Input, **samples: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    return dict(row_sets(inputs, samples))


def test_a_table_is_tried_with_zeros_signs_sizes_gaps_and_at_its_thresholds() -> None:
    assert list(kinds(TABLE)) == ["ordinary", "zeros", "negative", "large", "missing values", "split thresholds"]


def test_a_text_is_tried_unseen_empty_and_long() -> None:
    found = kinds(WORDS)
    assert list(found) == ["ordinary", "unseen texts", "empty texts", "long texts"]
    assert set(found["ordinary"]["text"].ravel()) == {"red", "green"}
    assert not {"red", "green"} & set(found["unseen texts"]["text"].ravel())
    assert set(found["empty texts"]["text"].ravel()) == {""}
    assert {len(text) for text in found["long texts"]["text"].ravel()} == {3000}


def test_known_words_are_tried_inside_others_and_in_capitals() -> None:
    tried = " ".join(kinds(replace(WORDS, categories=("red", "été"), has_words=True))["unseen texts"]["text"].ravel())
    assert {"redé", "éred", "ÉTÉ"} <= set(tried.split())


def test_what_varies_in_length_is_tried_at_half_and_at_twice_its_length() -> None:
    found = kinds(IDS)
    lengths = {kind: rows["ids"].shape[1] for kind, rows in found.items()}
    assert lengths == {"ordinary": 8, "zeros": 8, "large": 8, "short": 4, "long": 17}


def test_tokens_are_tried_at_the_length_that_a_service_cuts_at() -> None:
    mask = replace(IDS, name="mask", whole_numbers=(0, 1))
    found = dict(row_sets([IDS, mask], {}, {"ids": 200, "mask": 200}))
    assert {name: rows.shape for name, rows in found["longest"].items()} == {"ids": (4, 200), "mask": (4, 200)}


def test_the_length_of_a_service_is_that_of_the_inputs_by_their_names_in_the_graph() -> None:
    ids, mask = replace(IDS, name="input-ids"), replace(IDS, name="mask", whole_numbers=(0, 1))
    found = dict(row_sets([ids, mask], {}, {"input_ids": 64, "mask": 64}))
    assert {name: rows.shape for name, rows in found["longest"].items()} == {"input-ids": (4, 64), "mask": (4, 64)}


def test_tokens_of_one_length_are_not_tried_at_the_length_of_a_service() -> None:
    fixed, state = replace(IDS, shape=(8,)), Input("state", "float32", ("hidden",))
    assert "longest" not in dict(row_sets([fixed, state], {}, {"ids": 64}))


def test_tokens_without_end_are_not_tried() -> None:
    assert "longest" not in dict(row_sets([IDS], {}, {"ids": 100_000}))


def test_an_image_of_any_size_is_tried_in_other_sizes_of_both_sides() -> None:
    shapes = {kind: rows["image"].shape[1:] for kind, rows in kinds(IMAGE).items()}
    assert (shapes["ordinary"], shapes["short"], shapes["long"]) == ((3, 32, 32), (3, 16, 16), (3, 65, 65))


def test_every_kind_of_hard_rows_has_its_name_in_one_list() -> None:
    tried = {kind for entry in (TABLE, WORDS, IMAGE) for kind in kinds(entry)}
    tried |= {kind for kind, _ in row_sets([IDS], {}, {"ids": 16})}
    ids = np.ones((2, 4), np.int64)
    tried |= {kind for kind, _ in padding_kinds({"ids": ids, "mask": ids}, Masked("ids", "mask", 0))}
    assert tried == {ORDINARY, *KINDS}


def test_whole_numbers_stay_in_their_range_in_every_kind() -> None:
    for rows in kinds(IDS).values():
        assert rows["ids"].min() >= 1
        assert rows["ids"].max() <= 99


def test_whole_numbers_of_no_known_range_are_asked_for() -> None:
    with pytest.raises(SourceError, match="--range ids=0:999"):
        kinds(Input("ids", "int64", ("tokens",)))


def test_ordinary_numbers_lie_where_training_found_them() -> None:
    assert kinds(TABLE)["ordinary"]["features"].mean() == pytest.approx(5.0, abs=0.3)


def test_each_threshold_is_tried_with_the_next_number_on_either_side() -> None:
    tried = kinds(TABLE)["split thresholds"]["features"][:, 1]
    for threshold in (np.float32(0.1), np.float32(7.0)):
        around = {np.nextafter(threshold, np.float32(-np.inf)), threshold, np.nextafter(threshold, np.float32(np.inf))}
        assert around <= set(tried)


def test_each_column_is_missing_once_and_all_are_at_last() -> None:
    gaps = np.isnan(kinds(TABLE)["missing values"]["features"])
    assert {tuple(row) for row in gaps} >= {tuple(row) for row in np.eye(3, dtype=bool)}
    assert gaps[-1].all()


@pytest.mark.parametrize("sample_count", [3, 200])
def test_each_column_of_a_wide_table_is_missing_alone_too(sample_count: int) -> None:
    wide = Input("features", "float32", (60,))
    named = Input("kind", TEXT, (1,), categories=("red",))
    rows = kinds(wide, named, features=np.ones((sample_count, 60), np.float32), kind=_reds(sample_count))
    gaps = np.isnan(rows["missing values"]["features"])
    assert {tuple(row) for row in gaps} >= {tuple(row) for row in np.eye(60, dtype=bool)}
    assert len(rows["missing values"]["kind"]) == len(gaps)


def _reds(count: int) -> np.ndarray:
    return np.full((count, 1), "red", object)


def test_of_very_many_columns_so_many_are_missing_alone_that_the_rows_stay_few() -> None:
    gaps = np.isnan(kinds(Input("features", "float32", (5000,)))["missing values"]["features"])
    assert len(gaps) == 514
    assert gaps.any(axis=0).all()


def test_of_a_table_with_a_tensor_a_column_each_column_is_missing_alone() -> None:
    rows = kinds(*(Input(name, "float32", (1,)) for name in "abc"), WORDS)["missing values"]
    gaps = np.isnan(np.concatenate([rows[name] for name in "abc"], axis=1))
    assert {tuple(row) for row in gaps} >= {tuple(row) for row in np.eye(3, dtype=bool)}
    assert gaps[-1].all()


@pytest.mark.parametrize("kind", ["unseen texts", "empty texts", "long texts"])
def test_of_several_texts_each_changes_alone(kind: str) -> None:
    rows = kinds(*(Input(name, TEXT, (1,), categories=("red", "green")) for name in "ab"))[kind]
    changed = np.concatenate([~np.isin(rows[name], ["red", "green"]) for name in "ab"], axis=1)
    assert {tuple(row) for row in changed} == {(True, False), (False, True), (True, True)}


def test_samples_take_the_place_of_ordinary_rows_and_hard_ones_are_made_of_them() -> None:
    rows = np.full((40, 3), 2.0, np.float32)
    found = kinds(TABLE, features=rows)
    assert found["samples"]["features"] is rows
    assert set(found["negative"]["features"].ravel()) == {-2.0}
    assert set(found["large"]["features"].ravel()) == {2000.0}


def test_the_same_rows_are_made_every_time() -> None:
    assert np.array_equal(kinds(TABLE)["ordinary"]["features"], kinds(TABLE)["ordinary"]["features"])
