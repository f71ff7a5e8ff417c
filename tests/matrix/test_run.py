"""The runner: real exports that go wrong on purpose, and what each outcome counts for."""

import os
from pathlib import Path

import pytest

from tests.matrix.case import Case, Equal, Group, Refused
from tests.matrix.judge import Judgement
from tests.matrix.run import Attempt, Outcome, Runner, Verdict, verdict

GOOD = Judgement(12, 1e-7)
BAD = Judgement(12, 0.4, "'probabilities' is off by 0.4")
MENDED = ("the batch made to vary",)
REFUSAL = "not exported: the graph is frozen at a batch of 1\n"


def verdicts(folder: Path, *cases: Case) -> list[Verdict]:
    group = Group("ONNX", "tests.matrix.sources.deliberately_wrong", cases)
    return Runner(folder, os.environ, lambda _: None).run([group])


def test_an_export_that_answers_otherwise_than_its_source_is_called_silently_wrong(tmp_path: Path) -> None:
    (found,) = verdicts(tmp_path, Case("other-numbers", "linear"))
    assert found.outcome == Outcome.WRONG
    assert "'probabilities' is off by 0.01" in found.problem


def test_an_export_beyond_its_time_limit_is_ended_and_fails(tmp_path: Path) -> None:
    (found,) = verdicts(tmp_path, Case("right-numbers", "linear", limit_s=0.01))
    assert found.outcome == Outcome.BROKEN
    assert "did not end within its time limit" in found.problem


def test_a_source_that_cannot_be_made_fails_and_the_others_go_on(tmp_path: Path) -> None:
    absent, right = verdicts(tmp_path, Case("impossible", "none"), Case("right-numbers", "linear"))
    assert "no such data" in absent.problem
    assert right.outcome == Outcome.EQUAL
    assert right.problem == ""


@pytest.mark.parametrize(
    ("expected", "attempt", "outcome"),
    [
        (Equal(), Attempt(0, "", 1, GOOD), Outcome.EQUAL),
        (Equal(remedy="batch"), Attempt(0, "", 1, GOOD, MENDED), Outcome.REMEDIED),
        (Equal(), Attempt(0, "", 1, GOOD, (), MENDED), Outcome.EQUAL),
        (Refused("frozen"), Attempt(1, REFUSAL), Outcome.REFUSED),
    ],
)
def test_a_case_that_comes_out_as_declared_has_no_problem(
    expected: Equal | Refused, attempt: Attempt, outcome: Outcome
) -> None:
    found = verdict(Case("a", "a", expected), "ONNX", attempt)
    assert (found.outcome, found.problem) == (outcome, "")


@pytest.mark.parametrize(
    ("expected", "attempt"),
    [
        (Equal(), Attempt(0, "", 1, BAD)),
        (Refused("frozen"), Attempt(0, "", 1, BAD)),
        (Refused("frozen"), Attempt(0, "", 1, GOOD)),
        (Refused("sparse"), Attempt(1, REFUSAL)),
        (Refused("frozen"), Attempt(1, REFUSAL, 1, GOOD)),
        (Refused("frozen"), Attempt(1, f"Traceback\n{REFUSAL}")),
        (Refused("frozen"), Attempt(-11, "")),
        (Equal(), Attempt(1, REFUSAL)),
        (Equal(), Attempt(0, "", 1, GOOD, MENDED)),
        (Equal(remedy="batch"), Attempt(0, "", 1, GOOD)),
        (Equal(remedy="dense"), Attempt(0, "", 1, GOOD, MENDED)),
        (Equal(remedy="batch"), Attempt(0, "", 1, GOOD, (), MENDED)),
        (Equal(), Attempt(0, "")),
        (Equal(), Attempt(None, "")),
    ],
)
def test_anything_else_is_a_problem(expected: Equal | Refused, attempt: Attempt) -> None:
    assert verdict(Case("a", "a", expected), "ONNX", attempt).problem


def test_a_guard_is_told_on_the_page_and_is_no_remedy() -> None:
    found = verdict(Case("a", "a", Equal()), "ONNX", Attempt(0, "", 1, GOOD, (), MENDED))
    assert found.note == "guarded: the batch made to vary"
