"""A column may be missing where a row that lacks it was compared: rows without a finite answer are counted apart."""

import numpy as np

from argosy.v1 import manifest_pb2 as pb
from exporter.conversion import Conversion, Findings, NotApplicable, Provenance, RowSet
from exporter.finite import only_finite
from exporter.found_out import described_manifest
from exporter.mended import Told

GAP = np.float32(np.nan)
ROWS = np.array([[GAP, 1, 1, 1], [1, GAP, 1, 1], [1, 1, GAP, 1]], np.float32)


def policies(tiny, *row_sets: RowSet) -> list[bool]:
    """Which of the four columns the manifest lets be missing."""
    described = tiny.draft()
    described.ClearField("table")
    found = Findings(columns=("a", "b", "c", "d"))
    conversion = Conversion(tiny.graph(), row_sets, Provenance("numpy", "1"), findings=found)
    manifest = described_manifest(described, conversion, pb.ParityReport(), Told(), ())
    return [column.missing == pb.MISSING_POLICY_IMPUTE for column in manifest.table.columns]


def rows_of(kind: str, rows: np.ndarray) -> RowSet:
    return RowSet(kind, {"features": rows}, {"probabilities": np.ones((len(rows), 3))})


def test_columns_that_were_missing_in_a_compared_row_alone_may_be(tiny) -> None:
    ordinary = rows_of("ordinary", np.ones((2, 4), np.float32))
    assert policies(tiny, ordinary, rows_of("missing values", ROWS[1:])) == [False, True, True, False]


def test_samples_with_gaps_tell_it_too(tiny) -> None:
    assert policies(tiny, rows_of("samples", ROWS[:1])) == [True, False, False, False]


def test_rows_that_are_answered_with_no_number_are_left_out_and_counted() -> None:
    answers = np.array([[0.5], [GAP], [np.inf]])
    kept, left_out = only_finite(RowSet("missing values", {"x": ROWS}, {"y": answers}))
    assert isinstance(kept, RowSet)
    assert np.array_equal(kept.rows["x"], ROWS[:1], equal_nan=True)
    assert left_out == NotApplicable("missing values", "the source answers 2 of 3 rows with no finite numbers")


def test_of_rows_that_are_all_answered_nothing_is_left_out() -> None:
    (kept,) = only_finite(RowSet("missing values", {"x": ROWS}, {"y": np.ones((3, 1))}))
    assert isinstance(kept, RowSet)
