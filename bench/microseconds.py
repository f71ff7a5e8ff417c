"""Where each microsecond of a request to the small model goes, in a service with the native front.

`python -m bench.microseconds [ROUNDS]` prints CPU time a request at 1 and 32 in flight: of the front's thread, in the
kernel and in its own code, and of the workers, by stage. The kernel counts each thread's time; the service's stages are
counted by their thread's CPU time here and not by the clock, since on one CPU the front runs in the middle of them. Of
the rounds the one that cost least is told: what else runs on the machine can only add to it. With flags in the place of
ROUNDS it is that service, a tabular one.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import stages
from bench.cases import MANY, ONE, Case, of_small_model
from bench.contenders import Running
from bench.generator import Generator, Load, generator
from bench.machine import pinned, usable_cpus
from bench.measure import rate
from bench.pairs import running
from services.runtime import workers
from services.runtime.ending import end_process
from services.runtime.fronts import NATIVE
from services.runtime.service import main as serve
from services.runtime.stages import StageClock
from services.tabular.__main__ import TABULAR
from tests.e2e.harness import ROOT, Processes

ROUNDS = 9
SECONDS = 1.0
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


def main(rounds: int) -> None:
    case, sender, cpus = of_small_model(ROOT / ".cache" / "bench" / "models"), generator(), usable_cpus()
    with Processes() as processes:
        with pinned(cpus.server):
            flags = ("--model", case.model, "--front", NATIVE)
            server = processes.service(case.kind, case.models_dir, *flags, module="bench.microseconds")
        with pinned(cpus.load):
            [one] = running([server], case)
            found = {load.name: least(one, case, load, sender, rounds) for load in (ONE, MANY)}
    table = Table("CPU µs a request", *found)
    for name in Costs.__slots__:
        table.add_row(name.replace("_", " "), *(f"{getattr(costs, name):.1f}" for costs in found.values()))
    table.add_row("in all", *(f"{costs.total:.1f}" for costs in found.values()))
    Console(width=130).print(table)


def least(one: Running, case: Case, load: Load, sender: Generator, rounds: int) -> Costs:
    """Of the round that cost least."""
    count = int(rate(one, case, load, sender) * SECONDS)
    return min((measured(one, case, load, sender, count) for _ in range(rounds)), key=lambda costs: costs.total)


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


class CpuClock(StageClock):
    """A stage clock that counts the CPU time of the worker that holds it."""

    def __init__(self, batch_wait_ns: int) -> None:
        super().__init__(batch_wait_ns, time.thread_time_ns)


def serve_counting_cpu(arguments: Sequence[str]) -> int:
    workers.StageClock = CpuClock  # type: ignore[assignment, attr-defined]
    return serve(TABULAR, arguments, os.environ)


if __name__ == "__main__":
    if sys.argv[1:2] and not sys.argv[1].isdecimal():
        end_process(serve_counting_cpu(sys.argv[1:]))
    main(int(sys.argv[1]) if sys.argv[1:] else ROUNDS)
