"""The comparison of the languages: what is missing, what differs, what hung."""

import sys

import pytest
from rich.console import Console

from tests.clients.bad_input import Case
from tests.clients.compare import Verdict, build_all, compare, differences, is_well
from tests.clients.languages import Language
from tests.clients.programs import BuildFailedError, Outcome, build

CASE = Case("no such model", (), 1, "error: NOT_FOUND")


def test_a_missing_toolchain_is_skipped_by_name() -> None:
    [verdict] = build_all([Language("python", ("a-compiler-that-nobody-has",), (), ())], Console(quiet=True))
    assert verdict.word == "skipped: a-compiler-that-nobody-has not here"
    assert verdict.problems == []


def test_a_build_that_fails_says_why() -> None:
    failing = Language("python", (), ((sys.executable, "-c", "raise SystemExit('no such header')"),), ())
    with pytest.raises(BuildFailedError, match="no such header"):
        build(failing)
    [verdict] = build_all([failing], Console(quiet=True))
    assert verdict.problems == ["does not build"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["a", "b"], []),
        (["a"], ["lacks 'b'"]),
        (["a", "b", "c"], ["prints 'c'"]),
        (["a", "c"], ["lacks 'b'", "prints 'c'"]),
        (["b", "a"], ["prints its lines in another order"]),
    ],
)
def test_lines_are_compared_one_by_one(lines: list[str], expected: list[str]) -> None:
    assert differences(["a", "b"], lines) == expected


def test_a_language_is_held_against_the_first_that_ran() -> None:
    first, second = (Verdict(Language(name, (), (), ()), lines=[name]) for name in ("python", "go"))
    compare([first, second])
    assert (first.word, second.word) == ("ok", "lacks 'python'; prints 'go'")


def test_where_nothing_was_compared_it_is_not_well() -> None:
    skipped = Verdict(Language("go", (), (), ()), skipped="go not here")
    silent = Verdict(Language("java", (), (), ()), lines=[])
    right = Verdict(Language("python", (), (), ()), lines=["a"])
    wrong = Verdict(Language("rust", (), (), ()), lines=["b"], problems=["prints 'b'"])
    assert [is_well(found) for found in ([skipped], [silent], [right, skipped], [right, wrong])] == [
        False,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("outcome", "problem"),
    [
        (Outcome(1, [], "noise\nerror: NOT_FOUND: nix\n", 0.1), ""),
        (Outcome(0, [], "", 0.1), "exit code 0"),
        (Outcome(1, [], "panic: nix", 0.1), "expected an error like"),
        (Outcome(None, [], "", 90.0), "hung"),
        (Outcome(1, [], "error: NOT_FOUND", 60.0), "hung"),
    ],
)
def test_a_program_that_fails_otherwise_than_stated_is_a_problem(outcome: Outcome, problem: str) -> None:
    found = CASE.problem(outcome)
    assert found.startswith(problem)
    assert bool(found) == bool(problem)
