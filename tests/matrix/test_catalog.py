"""The list of cases: wide enough, complete, and the one that docs/matrix.md shows."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.matrix.case import Group, Trap
from tests.matrix.catalog import GROUPS

ROOT = Path(__file__).parents[2]
CASES = [case for group in GROUPS for case in group.cases]


def functions(group: Group) -> set[str]:
    """The functions of a group's module, without importing its framework."""
    source = (ROOT / group.sources.replace(".", "/")).with_suffix(".py").read_text()
    return {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}


def test_there_are_at_least_45_source_models_of_8_frameworks() -> None:
    assert len(CASES) >= 45
    assert len({group.framework for group in GROUPS}) >= 8


def test_names_are_told_apart() -> None:
    assert [name for name, count in Counter(case.name for case in CASES).items() if count > 1] == []


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.framework)
def test_every_case_has_a_maker(group: Group) -> None:
    assert {case.maker for case in group.cases} <= functions(group)


@pytest.mark.parametrize("trap", Trap)
def test_every_known_trap_has_a_case_in_the_fast_part(trap: Trap) -> None:
    assert [case.name for case in CASES if case.trap is trap and case.fast]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.framework)
def test_every_framework_has_a_case_in_the_fast_part(group: Group) -> None:
    assert any(case.fast for case in group.cases)


def test_the_page_shows_the_declared_cases_in_their_order() -> None:
    page = (ROOT / "docs" / "matrix.md").read_text(encoding="utf-8")
    shown = ["|".join(line.split("|")[:4]) + "|" for line in page.splitlines() if line.startswith("|")][2:]
    declared = [(case.name, group.framework, case.network) for group in GROUPS for case in group.cases]
    assert shown == [f"| {' | '.join(cells)} |" for cells in declared], "the page is old: make matrix"
