"""What a hit of the response cache costs the service, beside the same request run by the model.

`python -m bench.cache [--front native]` prints, for 1, 32 and 128 in flight, requests/s and CPU microseconds a request
of `diabetes` with and without a cache, in turns, with one CPU for the services and another for the load. Every answer
is checked. It measures one request over and over: the best that a cache can do, and what a hit costs.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from bench.cases import Case, cases
from bench.serving import IN_FLIGHT, Cell, Cpus, one_cell, pinned
from tests.e2e.harness import Processes, Server
from tests.e2e.traffic import newest

CACHE_BYTES = 1 << 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.cache", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--front", default="auto", help="native or portable; auto: the faster one that is installed")
    options = parser.parse_args()
    allowed = sorted(os.sched_getaffinity(0))
    cpus = Cpus(allowed[0], allowed[-1])
    with pinned(cpus.load):
        cells = measure(cases()[0], cpus, options.rounds, options.front)
    for (name, in_flight), cell in cells.items():
        print(f"{name:8} {in_flight:4} in flight: {summary(cell)}")
    return int(any(answered.errors for cell in cells.values() for answered in cell.answered))


def measure(case: Case, cpus: Cpus, rounds: int, front: str) -> dict[tuple[str, int], Cell]:
    """Both services at each number in flight, in turns."""
    cells = {(name, number): Cell() for number in IN_FLIGHT for name in ("run", "kept")}
    with Processes() as processes, tempfile.TemporaryDirectory() as folder, pinned(cpus.service):
        services = {
            "run": start(processes, case, models(Path(folder) / "run", case, 0), front),
            "kept": start(processes, case, models(Path(folder) / "kept", case, CACHE_BYTES), front),
        }
        os.sched_setaffinity(0, {cpus.load})
        for _ in range(rounds):
            for (name, number), cell in cells.items():
                pid = services[name].process.pid
                one_cell(cell, case, services[name].address, number, (pid, pid))
    return cells


def start(processes: Processes, case: Case, models_dir: Path, front: str) -> Server:
    service = processes.service(case.kind, models_dir, "--front", front)
    case.check(service.channel)
    return service


def models(folder: Path, case: Case, cache_bytes: int) -> Path:
    """A models folder with the case's model alone."""
    version = newest(case.model)
    shutil.copytree(version, folder / case.model / version.name)
    (folder / case.model / "serving.yaml").write_text(f"cache_bytes: {cache_bytes}\n", encoding="utf-8")
    return folder


def summary(cell: Cell) -> str:
    count = sum(len(answered.latencies_s) for answered in cell.answered)
    elapsed_s = sum(answered.elapsed_s for answered in cell.answered)
    return f"{count / elapsed_s:9,.0f} requests/s, {cell.service_cpu_s / count * 1e6:6.1f} CPU us a request"


if __name__ == "__main__":
    sys.exit(main())
