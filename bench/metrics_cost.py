"""What the workers' metrics cost: a service that keeps them beside one whose stage clocks stand still.

`python -m bench.metrics_cost [ROUNDS]` asks both about the small model, at 1 and 32 in flight. What the fronts count,
both count: ModelStatistics, the queue and admission need it. With flags in the place of ROUNDS it is the one without, a
tabular service.
"""

import os
import sys
from collections.abc import Sequence
from functools import partial

from bench.cases import MANY, ONE, of_small_model
from bench.generator import generator
from bench.machine import pinned, usable_cpus
from bench.pairs import ROUNDS, compared, running
from services.runtime import workers
from services.runtime.ending import end_process
from services.runtime.in_place import InPlace
from services.runtime.service import main as serve
from services.runtime.stages import StageClock, StageCounts
from services.tabular.__main__ import TABULAR
from tests.e2e.harness import ROOT, Processes

MODULES = "services.tabular", "bench.metrics_cost"


def main(rounds: int) -> None:
    case, sender, cpus = of_small_model(ROOT / ".cache" / "bench" / "models"), generator(), usable_cpus()
    with Processes() as processes:
        with pinned(cpus.server):
            flags = ("--model", case.model)
            servers = [processes.service(case.kind, case.models_dir, *flags, module=module) for module in MODULES]
        with pinned(cpus.load):
            pair = running(servers, case)
            for load in (ONE, MANY):
                print("with metrics and without,", compared(pair, case, load, sender, rounds), flush=True)


def serve_without(arguments: Sequence[str]) -> int:
    """The tabular service whose workers note nothing."""

    def end(self: StageClock, stage: int) -> None: ...
    def add(self: StageCounts, rows: int, requests: int, spent_ns: Sequence[int]) -> None: ...

    StageClock.end, StageCounts.add = end, add  # type: ignore[method-assign]
    workers.InPlace = partial(InPlace, clock=int)  # type: ignore[assignment, attr-defined]  # always 0
    return serve(TABULAR, arguments, os.environ)


if __name__ == "__main__":
    if sys.argv[1:2] and not sys.argv[1].isdecimal():
        end_process(serve_without(sys.argv[1:]))
    main(int(sys.argv[1]) if sys.argv[1:] else ROUNDS)
