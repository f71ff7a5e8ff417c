"""Runs cases: makes the sources, exports each in a process of its own, judges what was published.

Two processes at a time, each with a time limit. What a case came to is decided by `verdict`, which runs nothing.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.matrix.case import Case, Equal, Group, Refused
from tests.matrix.folder import CaseFolder
from tests.matrix.judge import Judgement, judge

_ROOT = Path(__file__).parents[2]
_JOBS = 2
_MAKE_LIMIT_S = 120
_REFUSED = "not exported: "


class Outcome(StrEnum):
    """What came of an export, whatever was expected."""

    EQUAL = "equal"
    REMEDIED = "equal after a remedy"
    REFUSED = "refused"
    WRONG = "SILENTLY WRONG"
    BROKEN = "BROKEN"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What the exporter's process said and left behind."""

    code: int | None  # None: it was ended at its time limit
    error: str
    published: int = 0
    judgement: Judgement | None = None
    # What the published manifest says that the exporter changed: because it was wrong, and to be on the safe side.
    remedies: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """`problem` is empty where the case came out as it was declared to."""

    case: Case
    framework: str
    outcome: Outcome
    note: str
    judgement: Judgement | None = None
    problem: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Runner:
    """`report` is told of each verdict as it falls, from several threads."""

    folder: Path
    environment: Mapping[str, str]
    report: Callable[[Verdict], None]

    def run(self, groups: Sequence[Group]) -> list[Verdict]:
        """Verdicts in the order of the cases."""
        with ThreadPoolExecutor(_JOBS) as pool:
            makers = {group.framework: pool.submit(self._make, group) for group in groups}
            waiting = [
                pool.submit(self._one, case, group.framework, makers[group.framework].result())
                for group in groups
                for case in group.cases
            ]
            return [future.result() for future in waiting]

    def _make(self, group: Group) -> str:
        """Make the group's sources; returns what went wrong, for the cases that are missing then."""
        names = [case.name for case in group.cases]
        command = ["tests.matrix.make", group.sources, str(self.folder), str(_MAKE_LIMIT_S), *names]
        done = self._python(command, _ROOT, None)
        return "" if done.returncode == 0 else done.stderr.strip() or f"the maker ended with {done.returncode}"

    def _one(self, case: Case, framework: str, making: str) -> Verdict:
        folder, began = CaseFolder(self.folder / case.name), time.monotonic()
        if folder.is_made:
            fallen = verdict(case, framework, self._export(case, folder), time.monotonic() - began)
        else:
            note = f"the source could not be made: {making}"
            fallen = Verdict(case, framework, Outcome.BROKEN, note, problem=note)
        self.report(fallen)
        return fallen

    def _export(self, case: Case, folder: CaseFolder) -> Attempt:
        try:
            done = self._python(["exporter", *folder.order(), "--output", "models"], folder.path, case.limit_s)
        except subprocess.TimeoutExpired:
            return Attempt(None, "", len(folder.published()))
        versions = folder.published()
        if len(versions) != 1:
            return Attempt(done.returncode, done.stderr, len(versions))
        judgement = _judged(case, folder, versions[0])
        return Attempt(done.returncode, done.stderr, 1, judgement, *folder.mended(versions[0]))

    def _python(self, command: Sequence[str], cwd: Path, limit_s: float | None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=cwd,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=limit_s,
        )


def verdict(case: Case, framework: str, attempt: Attempt, seconds: float = 0.0) -> Verdict:
    """What the attempt came to, and whether that is what the case declares."""
    outcome, reason = _outcome(attempt)
    guards = [f"guarded: {guard}" for guard in attempt.guards if outcome in {Outcome.EQUAL, Outcome.REMEDIED}]
    note = "; ".join([reason, *guards] if reason else guards)
    return Verdict(case, framework, outcome, note, attempt.judgement, _problem(case, outcome, reason), seconds)


def _outcome(attempt: Attempt) -> tuple[Outcome, str]:
    if attempt.code is None:
        return Outcome.BROKEN, "the export did not end within its time limit"
    if attempt.code == 0 and attempt.judgement is not None:
        if attempt.judgement.fault:
            return Outcome.WRONG, attempt.judgement.fault
        return (Outcome.REMEDIED, "; ".join(attempt.remedies)) if attempt.remedies else (Outcome.EQUAL, "")
    lines = attempt.error.strip().splitlines()
    if attempt.code == 0 or attempt.published:
        return Outcome.BROKEN, f"exit code {attempt.code} with {attempt.published} version(s) published"
    if len(lines) != 1 or not lines[0].startswith(_REFUSED):
        return Outcome.BROKEN, f"exit code {attempt.code} and no line that says why: {' / '.join(lines)[-400:]}"
    return Outcome.REFUSED, lines[0].removeprefix(_REFUSED)


def _problem(case: Case, outcome: Outcome, reason: str) -> str:
    match case.expected, outcome:
        case Equal(remedy=""), Outcome.EQUAL:
            return ""
        case Equal(remedy=words), Outcome.REMEDIED if words and words in reason:
            return ""
        case Refused(reason=words), Outcome.REFUSED if words in reason:
            return ""
    return f"expected {case.expected}, came {outcome}: {reason}"


def _judged(case: Case, folder: CaseFolder, version: Path) -> Judgement:
    """A file that was published against expectation is judged too: whether it is wrong matters most."""
    allowed = case.expected if isinstance(case.expected, Equal) else Equal()
    one_row = "--one-row" in folder.order()
    try:
        return judge(version / "model.onnx", folder.fresh(), folder.answers(), allowed, one_row=one_row)
    except Exception as error:  # noqa: BLE001 - ONNX Runtime raises what it likes: a file that does not run is wrong
        return Judgement(0, float("inf"), f"the published file does not run: {str(error).splitlines()[0][:200]}")
