"""One case, all contenders in turns: round after round, each load is put to each of them before the next load comes.

A ratio of two contenders then holds on a machine that is slower in one minute than in the next. How many requests make
a round is found in the warm-up, so that each takes about the same time, and is fixed from then on: the CPU time of a
fixed number of requests is the steadiest figure there is.
"""

import os
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench import alone, stages
from bench.cases import Case
from bench.contenders import Contender, Running, started
from bench.figures import CaseFigures, Raw, Row
from bench.generator import Answered, Generator, Load
from bench.machine import Cpus, cpu_s
from bench.peers.install import PeerUnavailableError
from bench.stages import Stages
from tests.e2e.harness import Processes

# An open loop is asked only of who answers this much more in a closed one: else its latency says nothing but that.
HEADROOM = 1.3
WARM_UP_S = 0.2
# Of a round that answers each request in flight `waves` times.
LONGEST_S = 15.0
MOST_GROWTH = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """How long it may take: rounds, and seconds of each contender under each load in a round.

    Where that is a few batches, of which the first and the last are not full, it is `waves` times what is in flight.
    """

    rounds: int
    seconds: float
    waves: int


@dataclass(slots=True)
class Cell:
    """All rounds of one contender under one load, `count` requests each."""

    running: Running
    load: Load
    count: int
    answered: list[Answered] = field(default_factory=list)
    server_cpu_s: float = 0.0
    proxy_cpu_s: float = 0.0
    load_cpu_s: float = 0.0
    stages: Stages = field(default_factory=Stages)


def measure(case: Case, contenders: Sequence[Contender], sender: Generator, cpus: Cpus, plan: Plan) -> CaseFigures:
    """Every contender that can be had, under every load that it can be put to."""
    left_out: dict[str, str] = {}
    with Processes() as processes, tempfile.TemporaryDirectory() as folder:
        running: dict[Contender, Running] = {}
        for number, contender in enumerate(contenders):
            own = Path(folder, str(number))
            own.mkdir()
            try:
                running[contender] = started(contender, processes, case, cpus, own)
            except PeerUnavailableError as error:
                left_out[contender.name] = str(error)
        cells = _warmed_up(case, running, sender, plan, left_out)
        raw: list[Raw] = []
        for _ in range(plan.rounds):
            raw += alone.measure(case, cpus)
            for cell in cells.values():
                put(cell, case, sender)
    rows = tuple(row_of(name, cell, case) for (name, _), cell in cells.items())
    return CaseFigures(case.name, alone.medians(raw), rows, left_out)


def _warmed_up(
    case: Case, running: dict[Contender, Running], sender: Generator, plan: Plan, left_out: dict[str, str]
) -> dict[tuple[str, Load], Cell]:
    """The cells in the order of their turns, each with the count that fills the plan's seconds."""
    cells: dict[tuple[str, Load], Cell] = {}
    best_rates: dict[str, float] = {}
    for load in case.loads:
        for contender, server in running.items():
            if contender.routed and not load.is_routed_too:
                continue
            best = best_rates.get(contender.name)
            if why := _why_not(case, load, sender, best, plan):
                left_out[f"{contender.name}, {load.name}"] = why
                continue
            found = load.rate_per_s or rate(server, case, load, sender)
            best_rates[contender.name] = max(found, best or 0.0)
            count = max(plan.waves * load.in_flight, int(found * plan.seconds))
            cells[contender.name, load] = Cell(server, load, count)
    return cells


def _why_not(case: Case, load: Load, sender: Generator, best_rate: float | None, plan: Plan) -> str:
    """Why a contender that has answered so many a second at best is not put to the load; '' where it is."""
    if not sender.can_send(case.requests, load):
        return f"{sender.name} cannot send it"
    if best_rate is None:
        return ""
    if load.rate_per_s is not None and best_rate < HEADROOM * load.rate_per_s:
        return f"it answers {best_rate:.3g} a second at best"
    if plan.waves * load.in_flight > LONGEST_S * best_rate:
        return f"at {best_rate:.2g} a second each round would take more than {LONGEST_S:.0f} s"
    return ""


def rate(running: Running, case: Case, load: Load, sender: Generator) -> float:
    """Requests a second, from a run that was long enough to tell."""
    count = 2 * load.in_flight
    while True:
        answered = sender.run(running.address, case.requests, load, count)
        if answered.elapsed_s >= WARM_UP_S or not len(answered.latencies_s):
            return answered.requests_per_s
        count = int(count * min(MOST_GROWTH, 1.5 * WARM_UP_S / answered.elapsed_s))


def put(cell: Cell, case: Case, sender: Generator) -> None:
    """One round of one contender under one load."""
    before, stages_before = _spent(cell.running), _stages(cell.running, case)
    cell.answered.append(sender.run(cell.running.address, case.requests, cell.load, cell.count))
    server_s, proxy_s, load_s = (now - was for now, was in zip(_spent(cell.running), before, strict=True))
    cell.server_cpu_s += server_s
    cell.proxy_cpu_s += proxy_s
    cell.load_cpu_s += load_s
    cell.stages = cell.stages.plus(_stages(cell.running, case).since(stages_before))


def _spent(running: Running) -> tuple[float, float, float]:
    own = os.times()
    load_s = own.user + own.system + own.children_user + own.children_system
    return cpu_s(running.pid), cpu_s(running.proxy_pid) if running.proxy_pid else 0.0, load_s


def _stages(running: Running, case: Case) -> Stages:
    """None of those that do not tell."""
    return stages.read(running.channel, case.model) if running.tells_stages else Stages()


def row_of(contender: str, cell: Cell, case: Case) -> Row:
    latencies_ms = np.concatenate([answered.latencies_s for answered in cell.answered]) * 1e3
    count = max(1, len(latencies_ms))
    p50_ms, p99_ms = np.percentile(latencies_ms, (50, 99)) if len(latencies_ms) else (0.0, 0.0)
    return Row(
        contender=contender,
        load=cell.load.name,
        requests_per_s=statistics.median(answered.requests_per_s for answered in cell.answered),
        p50_ms=float(p50_ms),
        p99_ms=float(p99_ms),
        server_cpu_us=cell.server_cpu_s / count * 1e6,
        proxy_cpu_us=cell.proxy_cpu_s / count * 1e6,
        load_cpu_us=cell.load_cpu_s / count * 1e6,
        preprocess_us=cell.stages.preprocess_ns / count / 1e3,
        compute_us=cell.stages.compute_ns / count / 1e3,
        requests_a_batch=count / cell.stages.batches if cell.stages.batches else 0.0,
        wrong=_wrong(cell, case),
        missing=sum(answered.errors for answered in cell.answered),
        rate_per_s=cell.load.rate_per_s,
    )


def _wrong(cell: Cell, case: Case) -> int:
    """How many answers were not right. Each different one is looked at once a round."""
    return sum(
        often
        for answered in cell.answered
        for message, answer, often in answered.ways
        if case.complaint(message, answer)
    )
