"""`python -m tests.matrix`: run the matrix, all of it or the fast part, and print it.

The exit code is 1 where a case came out otherwise than declared. `--page FILE` writes the page; cases that were not run
keep their rows.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from tests.matrix.case import Case, Group
from tests.matrix.catalog import GROUPS
from tests.matrix.report import page, screen, summary
from tests.matrix.run import Runner, Verdict


def main(arguments: Sequence[str]) -> int:
    options = _parse(arguments)
    groups = _chosen(options.names, fast=options.fast)
    console = Console(width=200)
    with tempfile.TemporaryDirectory(prefix="argosy-matrix-") as temporary:
        folder = options.keep.resolve() if options.keep else Path(temporary)
        verdicts = Runner(folder, _environment(), lambda verdict: _tell(console, verdict)).run(groups)
    console.print(screen(verdicts))
    console.print(summary(verdicts))
    if options.page:
        before = options.page.read_text(encoding="utf-8") if options.page.is_file() else ""
        options.page.write_text(page(verdicts, before), encoding="utf-8")
    return 1 if any(verdict.problem for verdict in verdicts) else 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.matrix", description=__doc__)
    parser.add_argument("names", nargs="*", help="cases or frameworks; none: all")
    parser.add_argument("--fast", action="store_true", help="only the cases of `make test`")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the page, docs/matrix.md")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave sources, rows and versions in a new folder")
    return parser.parse_args(arguments)


def _chosen(names: Sequence[str], *, fast: bool) -> list[Group]:
    def wanted(group: Group, case: Case) -> bool:
        return (case.fast or not fast) and (not names or case.name in names or group.framework in names)

    groups = [replace(group, cases=tuple(case for case in group.cases if wanted(group, case))) for group in GROUPS]
    return [group for group in groups if group.cases]


def _tell(console: Console, verdict: Verdict) -> None:
    text = verdict.problem or verdict.outcome
    console.print(
        f"{verdict.case.name}: {text}", style="red" if verdict.problem else "dim", markup=False, highlight=False
    )


def _environment() -> dict[str, str]:
    """One thread a process: two run at a time. No accelerator: the judge is the CPU. No locales, as in a container."""
    bare = {"CUDA_VISIBLE_DEVICES": "", "LOCPATH": os.devnull}
    return {**os.environ, "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", **bare}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
