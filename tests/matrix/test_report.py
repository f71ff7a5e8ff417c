"""The page: every case once, in the catalog's order, the rows of those that ran anew."""

from tests.matrix.catalog import GROUPS
from tests.matrix.judge import Judgement
from tests.matrix.report import page
from tests.matrix.run import Outcome, Verdict

CASES = [(case, group.framework) for group in GROUPS for case in group.cases]


def equal(position: int, note: str = "") -> Verdict:
    case, framework = CASES[position]
    return Verdict(case, framework, Outcome.EQUAL, note, Judgement(12, 0.0))


def test_cases_that_did_not_run_keep_their_rows() -> None:
    before = page([equal(0, "old | bar"), equal(1, "old")])
    after = page([equal(1, "new")], before)
    assert after == page([equal(0, "old | bar"), equal(1, "new")])
    assert "2 source models of 1 frameworks: 2 equal, 0 SILENTLY WRONG." in after


def test_no_error_at_all_is_0() -> None:
    assert "| equal | 0 | 12 |" in page([equal(0)])
