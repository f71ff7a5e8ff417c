"""`make clients-test`: build every language's program, run them against one fleet, compare their lines.

The first program that was built says what is right: Python's, where all is well. A language whose toolchain is missing
is reported as skipped, by name; whatever else is not as it should be ends with exit code 1.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.clients.bad_input import Case, cases
from tests.clients.languages import LANGUAGES, ROOT, Language
from tests.clients.programs import BuildFailedError, build, run
from tests.e2e.conftest import KINDS, ready_versions, wait_until_ready
from tests.e2e.disk import copy_models
from tests.e2e.harness import Processes

MODELS = ROOT / "models"


@dataclass(slots=True)
class Verdict:
    """What came of one language; `lines` is None where it did not get so far."""

    language: Language
    skipped: str = ""
    build_s: float | None = None
    run_s: float | None = None
    lines: list[str] | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def word(self) -> str:
        return f"skipped: {self.skipped}" if self.skipped else "; ".join(self.problems) or "ok"


@dataclass(frozen=True, slots=True)
class Servers:
    """A router before the whole fleet, and its HTTP port."""

    processes: Processes
    router: str
    http: str


def with_room_for_eight(models: Path) -> Path:
    """`digits` in a folder of its own, whose queue has room for eight requests that are larger than a batch."""
    copy_models(models, "digits")
    # Of a size that is measured it is not known how many find room.
    (models / "digits" / "serving.yaml").write_text("instances: 2\nmax_batch_rows: 32\n", encoding="utf-8")
    return models


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """The fleet with every model ready that the programs ask."""
    with Processes() as processes:
        vision = with_room_for_eight(folder / "models")
        services = {kind: processes.service(kind, vision if kind == "vision" else MODELS) for kind in KINDS}
        router = processes.router(folder, {kind: [server.address] for kind, server in services.items()})
        ready = set().union(*(ready_versions(service.channel) for service in services.values()))
        wait_until_ready(router.channel, lambda found: ready <= found.keys())
        yield Servers(processes, router.address, router.metrics_address)


def build_all(languages: Sequence[Language], console: Console) -> list[Verdict]:
    verdicts = []
    for language in languages:
        verdict = Verdict(language)
        verdicts.append(verdict)
        if missing := [*language.missing_tools(), *([] if language.folder.is_dir() else ["its folder"])]:
            verdict.skipped = f"{', '.join(missing)} not here"
            continue
        console.print(f"building {language.name} …", style="dim")
        try:
            verdict.build_s = build(language)
        except BuildFailedError as error:
            verdict.problems.append("does not build")
            console.print(str(error), markup=False)
    return verdicts


def run_one(verdict: Verdict, address: str, bad: Sequence[Case]) -> None:
    """The whole run, then all that can be wrong around it."""
    outcome = run(verdict.language, ["--address", address])
    verdict.run_s, verdict.lines = outcome.elapsed_s, outcome.lines
    if outcome.code != 0:
        verdict.problems.append(f"exit code {outcome.code}: {outcome.error_line}")
    for case in bad:
        if problem := case.problem(run(verdict.language, case.flags)):
            verdict.problems.append(f"{case.name}: {problem}")


def differences(expected: Sequence[str], lines: Sequence[str]) -> list[str]:
    """Each line that is not as expected."""
    missing = [f"lacks {line!r}" for line in expected if line not in lines]
    surplus = [f"prints {line!r}" for line in lines if line not in expected]
    return missing + surplus or ([] if list(expected) == list(lines) else ["prints its lines in another order"])


def compare(verdicts: Sequence[Verdict]) -> None:
    """Add to each verdict where its lines differ from those of the first."""
    ran = [verdict for verdict in verdicts if verdict.lines is not None]
    for verdict in ran[1:]:
        verdict.problems += differences(ran[0].lines or [], verdict.lines or [])


def table(verdicts: Sequence[Verdict]) -> Table:
    shown = Table(title="clients", title_justify="left")
    for column in ("language", "build s", "run s", "result"):
        shown.add_column(column, overflow="fold", justify="right" if column.endswith(" s") else "left")
    for verdict in verdicts:
        times = [f"{seconds:.1f}" if seconds is not None else "" for seconds in (verdict.build_s, verdict.run_s)]
        shown.add_row(verdict.language.name, *times, verdict.word)
    return shown


def is_well(verdicts: Sequence[Verdict]) -> bool:
    """Nothing is wrong, and something was compared."""
    return not any(verdict.problems for verdict in verdicts) and any(verdict.lines for verdict in verdicts)


def main(names: Sequence[str]) -> int:
    """The exit code."""
    console = Console()
    chosen = [language for language in LANGUAGES if not names or language.name in names]
    verdicts = build_all(chosen, console)
    built = [verdict for verdict in verdicts if verdict.build_s is not None]
    with tempfile.TemporaryDirectory(prefix="argosy-clients-") as temporary:
        folder = Path(temporary)
        with servers(folder) as fleet, cases(fleet.processes, fleet.router, fleet.http, MODELS, folder) as bad:
            for verdict in built:
                console.print(f"running {verdict.language.name} …", style="dim")
                run_one(verdict, fleet.router, bad)
    compare(verdicts)
    for line in (built[0].lines or []) if built else []:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(table(verdicts))
    return 0 if is_well(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
