"""Where each microsecond of a request goes, in a service with the native front.

`python -m bench.microseconds [ROUNDS [CASE]]` prints CPU time a request at 1 and 32 in flight: of the front's thread,
in the kernel and in its own code, and of the workers, by stage; and what ONNX Runtime takes by itself for a row in
batches as large, in turns with them. The kernel counts each thread's time, and the service's stages are counted by
their thread's too (`cpu_service.py`). Of the rounds the one that cost least is told: what else runs on the machine can
only add to it. The last line compares ONNX Runtime in the service with plain runs of itself alone just after, in
batches as large: the median of the rounds and their quartiles, since of two least costs one may be from a better
minute.
"""

import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import alone, mlp, stages
from bench.cases import MANY, ONE, Case, cases
from bench.contenders import Running
from bench.figures import Raw
from bench.generator import Generator, Load, generator
from bench.machine import pinned, usable_cpus
from bench.measure import rate
from bench.pairs import running
from services.runtime.fronts import NATIVE
from tests.e2e.harness import ROOT, Processes

ROUNDS = 9
SECONDS = 1.0
LEAST_BATCHES = 10  # of a round: the first and the last are smaller
FRONT_THREAD = "front"


@dataclass(frozen=True, slots=True)
class Threads:
    """CPU µs of a process so far: its front's thread, in the kernel and in all, and all other threads."""

    front_kernel_us: float
    front_us: float
    others_us: float


@dataclass(frozen=True, slots=True)
class Costs:
    """µs a request. `requests_a_batch` share what a batch costs."""

    front_kernel: float
    front_own: float
    check: float
    onnx_runtime: float
    encode: float
    worker_rest: float
    requests_a_batch: float

    @property
    def total(self) -> float:
        return self.front_kernel + self.front_own + self.check + self.onnx_runtime + self.encode + self.worker_rest


def main(rounds: int, name: str) -> None:
    case = next(case for case in cases(ROOT / ".cache" / "bench" / "models") if case.name == name)
    sender, cpus = generator(), usable_cpus()
    with Processes() as processes:
        with pinned(cpus.server):
            flags = ("--model", case.model, "--front", NATIVE, case.kind)
            server = processes.service(case.kind, case.models_dir, *flags, module="bench.cpu_service")
        with pinned(cpus.load):
            [one] = running([server], case)
            counts = {
                load: max(int(rate(one, case, load, sender) * SECONDS), LEAST_BATCHES * load.in_flight)
                for load in (ONE, MANY)
            }
            found: dict[Load, list[Costs]] = {load: [] for load in counts}
            raws: dict[Load, list[Raw]] = {load: [] for load in counts}
            for _ in range(rounds):
                for load, count in counts.items():
                    costs = measured(one, case, load, sender, count)
                    found[load].append(costs)
                    raws[load] += alone.measure(case, cpus, (round(costs.requests_a_batch),))
    least = [min(costs, key=lambda each: each.total) for costs in found.values()]
    table = Table(f"{name}, CPU µs a request", *(load.name for load in found))
    for part in Costs.__slots__:
        table.add_row(part.replace("_", " "), *(f"{getattr(costs, part):.1f}" for costs in least))
    table.add_row("in all", *(f"{costs.total:.1f}" for costs in least))
    table.add_row("ONNX Runtime by itself, a row", *(f"{min(raw.cpu_us for raw in own):.1f}" for own in raws.values()))
    table.add_row("its speed here beside by itself", *(_ratio(found[load], raws[load]) for load in found))
    Console(width=130).print(table)


def _ratio(costs: Sequence[Costs], raws: Sequence[Raw]) -> str:
    ratios = [raw.cpu_us / cost.onnx_runtime for raw, cost in zip(raws, costs, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def measured(one: Running, case: Case, load: Load, sender: Generator, count: int) -> Costs:
    before, stages_before = threads(one.pid), stages.read(one.channel, case.model)
    answered = sender.run(one.address, case.requests, load, count)
    assert answered.errors == 0, f"{answered.errors} of {count} requests were answered with errors"
    after, spent = threads(one.pid), stages.read(one.channel, case.model).since(stages_before)
    kernel_us = after.front_kernel_us - before.front_kernel_us
    stages_us = (spent.preprocess_ns + spent.compute_ns + spent.postprocess_ns) / 1e3
    return Costs(
        front_kernel=kernel_us / count,
        front_own=(after.front_us - before.front_us - kernel_us) / count,
        check=spent.preprocess_ns / 1e3 / count,
        onnx_runtime=spent.compute_ns / 1e3 / count,
        encode=spent.postprocess_ns / 1e3 / count,
        worker_rest=(after.others_us - before.others_us - stages_us) / count,
        requests_a_batch=count / spent.batches,
    )


def threads(pid: int) -> Threads:
    """What the kernel has counted so far; time in the kernel in ticks, all else in nanoseconds."""
    front_kernel_us = front_us = others_us = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        run_us = int((task / "schedstat").read_text().split()[0]) / 1e3
        if (task / "comm").read_text().strip() == FRONT_THREAD:
            front_us += run_us
            # https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: stime, counted from behind the name.
            ticks = int((task / "stat").read_text().rpartition(")")[2].split()[12])
            front_kernel_us += ticks / os.sysconf("SC_CLK_TCK") * 1e6
        else:
            others_us += run_us
    return Threads(front_kernel_us, front_us, others_us)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else ROUNDS, sys.argv[2] if sys.argv[2:] else mlp.NAME)
