"""`argosy demo`: the whole way once: train what is missing, start the fleet, ask every reference model, check answers.

The fleet takes free ports, so that the demo collides with nothing, and ends with the demo. The exit code is 1 where an
answer is not the right one.
"""

import asyncio
import math
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from argosy_cli.client import Fleet, Timing, connect
from argosy_cli.demo_cases import PATIENT, SEVEN, Case, demo_cases
from argosy_cli.errors import CliError
from argosy_cli.fleet import running
from argosy_cli.inputs import NamedRow
from argosy_cli.programs import training_command
from argosy_cli.questions import Question, verb_for
from argosy_cli.show import shortened
from argosy_cli.signals import on_end
from argosy_cli.tensors import first_number, infer_request
from argosy_cli.up import ERRORS, local_plan, report
from argosy_cli.verdicts import Verdict
from argosy_client.methods import MODEL_INFER

_TIMEOUT_S = 30.0
_READY_TIMEOUT_S = 120.0

NEXT_STEPS = """\
The fleet has been drained. Next:
  {argosy} up                                   run it, until Ctrl-C; and in another terminal
  {argosy} models show digits                   what a model is, and how good
  {argosy} predict digits {seven}
  {argosy} predict sentiment "What a wonderful day."
"""


@dataclass(frozen=True, slots=True)
class Answered:
    """One line of the demo's table; `timing` is None where there was no answer."""

    model: str
    task: str
    service: str
    shown: str
    verdict: Verdict
    timing: Timing | None


def demo(models_dir: Path, cache_dir: Path, console: Console) -> None:
    """Run the demo. Raises CliError where training fails, the fleet does not come up or an answer is wrong."""
    try:
        answers = asyncio.run(_demo(models_dir, cache_dir, console))
    except asyncio.CancelledError:
        raise CliError("interrupted; everything that was started has ended", exit_code=130) from None
    console.print(NEXT_STEPS.format(argosy=_own_name(), seven=_shortest(SEVEN)), soft_wrap=True)
    wrong = [answered.model for answered in answers if not answered.verdict.right]
    if wrong:
        raise CliError(f"{len(wrong)} of {len(answers)} answers are wrong: {', '.join(wrong)}")


async def _demo(models_dir: Path, cache_dir: Path, console: Console) -> list[Answered]:
    cases = demo_cases()
    whole = asyncio.current_task()
    on_end(lambda: whole.cancel() if whole is not None else False)
    console.print("1. Models: trained or fetched, exported to ONNX, proven equal to their source.", style="bold")
    await _train(models_dir, cache_dir)
    console.print("2. The fleet: three services and the router, on free ports.", style="bold")
    return await _ask_a_fleet(models_dir, cases, console)


def _own_name() -> str:
    """The command as it was called, .venv/bin/argosy perhaps."""
    return sys.argv[0] if Path(sys.argv[0]).name == "argosy" else "argosy"


def _shortest(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


async def _train(models_dir: Path, cache_dir: Path) -> None:
    command = training_command((), models_dir, cache_dir)
    process = await asyncio.create_subprocess_exec(*command, process_group=0)
    try:
        code = await process.wait()
    finally:
        if process.returncode is None:
            # As Ctrl-C would: it ends the trainings that it has started.
            process.send_signal(signal.SIGINT)
            await process.wait()
    if code:
        raise CliError(f"training ended with code {code}: its lines above say why")


async def _ask_a_fleet(models_dir: Path, cases: Sequence[Case], console: Console) -> list[Answered]:
    plan = local_plan(models_dir, None, None, _READY_TIMEOUT_S, free_ports=True)
    async with running(plan, report(console, ERRORS)) as address:
        console.print(f"3. Every model, asked through the router at {address}.", style="bold")
        answers = await asyncio.to_thread(_ask_all, address, cases)
        console.print(_table(answers))
        return answers


def _ask_all(address: str, cases: Sequence[Case]) -> list[Answered]:
    with connect(address, _TIMEOUT_S) as fleet:
        return list(_answers(fleet, cases))


def _answers(fleet: Fleet, cases: Sequence[Case]) -> Iterator[Answered]:
    for case in cases:
        try:
            yield _ask(fleet, case)
        except CliError as error:
            yield Answered(case.question.model, "", "", case.shown, Verdict(error.line, right=False), None)
    try:
        yield _infer(fleet)
    except CliError as error:
        yield Answered("diabetes", "ModelInfer", "", "", Verdict(error.line, right=False), None)


def _ask(fleet: Fleet, case: Case) -> Answered:
    verb = verb_for(fleet.manifest(case.question.model), case.task)
    answers = verb.ask(fleet, case.question)
    verdict = case.judge(answers.results)
    return Answered(case.question.model, verb.word, verb.service, case.shown, verdict, answers.timing)


def _infer(fleet: Fleet) -> Answered:
    """The patient again, as a tensor: the Open Inference Protocol must answer what the typed method answers."""
    manifest = fleet.manifest("diabetes")
    typed = verb_for(manifest).ask(fleet, Question("diabetes", rows=[NamedRow("", PATIENT).struct()]))
    (expected,) = [quantity.value for result in typed.results for quantity in getattr(result, "quantities", ())]
    reply = fleet.call(MODEL_INFER, infer_request(manifest, PATIENT), "diabetes")
    number = first_number(reply.message)
    verdict = Verdict(f"{number:.1f}, as before", math.isclose(number, expected, rel_tol=1e-5))
    return Answered("diabetes", "ModelInfer", "tabular", "the same patient, as a tensor", verdict, reply.timing)


def _table(answers: Sequence[Answered]) -> Table:
    table = Table("", "model", "task", "service")
    table.add_column("input", overflow="fold", ratio=3)
    table.add_column("answer", overflow="fold", ratio=3)
    for column in ("ms", "queue µs", "compute µs", "rows"):
        table.add_column(column, justify="right", no_wrap=True)
    for answered in answers:
        mark = Text("✓", "green") if answered.verdict.right else Text("✗", "bold red")
        words = (answered.model, answered.task, answered.service, shortened(answered.shown, 110))
        table.add_row(mark, *words, answered.verdict.answer, *_figures(answered.timing))
    return table


def _figures(timing: Timing | None) -> tuple[str, str, str, str]:
    if timing is None:
        return ("", "", "", "")
    counts = (timing.queue_us, timing.compute_us, timing.batch_rows)
    queue, compute, rows = ("" if count is None else str(count) for count in counts)
    return (f"{timing.latency_ms:.1f}", queue, compute, rows)
