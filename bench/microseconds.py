"""Where each microsecond of a request to the small model goes, in a service with the native front.

`python -m bench.microseconds [ROUNDS]` prints CPU time a request at 1 and 32 in flight: of the front's thread, in the
kernel and in its own code, and of the workers, whose stages ModelStatistics tells by the clock. The kernel counts each
thread's time. Of the rounds the one that cost least is told: what else runs on the machine can only add to it.
"""

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import stages
from bench.cases import MANY, ONE, Case, of_small_model
from bench.contenders import NATIVE_FRONT, Running, started
from bench.generator import Generator, Load, generator
from bench.machine import pinned, usable_cpus
from bench.measure import rate
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
    with Processes() as processes, tempfile.TemporaryDirectory() as folder, pinned(cpus.load):
        running = started(NATIVE_FRONT, processes, case, cpus, Path(folder))
        found = {load.name: least(running, case, load, sender, rounds) for load in (ONE, MANY)}
    table = Table("CPU µs a request", *found)
    for name in Costs.__slots__:
        table.add_row(name.replace("_", " "), *(f"{getattr(costs, name):.1f}" for costs in found.values()))
    table.add_row("in all", *(f"{costs.total:.1f}" for costs in found.values()))
    Console(width=130).print(table)


def least(running: Running, case: Case, load: Load, sender: Generator, rounds: int) -> Costs:
    """Of the round that cost least."""
    count = int(rate(running, case, load, sender) * SECONDS)
    return min((measured(running, case, load, sender, count) for _ in range(rounds)), key=lambda costs: costs.total)


def measured(running: Running, case: Case, load: Load, sender: Generator, count: int) -> Costs:
    before, stages_before = threads(running.pid), stages.read(running.channel, case.model)
    answered = sender.run(running.address, case.requests, load, count)
    assert answered.errors == 0, f"{answered.errors} of {count} requests were answered with errors"
    after, spent = threads(running.pid), stages.read(running.channel, case.model).since(stages_before)
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
    main(int(sys.argv[1]) if sys.argv[1:] else ROUNDS)
