"""What a request costs: requests/s and latency, straight and through the router, beside ONNX Runtime alone.

`python -m bench.serving [--rounds 3]` prints a table and writes .cache/bench/serving.json. The service has one CPU, the
load and the router have another, so that the service's figure is of one core, and a routed one of the same core behind
a router that takes nothing of it. Straight, routed and raw take turns within a round. On a machine with one CPU only,
everything shares it and the output says so.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench.cases import Case, cases
from bench.http2_load import Answered, run_load
from bench.report import Figures, Raw, Row, StartUp, show, write
from tests.e2e.conftest import ready_versions, wait_until_routed
from tests.e2e.harness import ROOT, Processes, Server
from tests.e2e.traffic import MODELS, newest

IN_FLIGHT = (1, 32, 128)
RAW_ROWS = (1, 32)
RAW_SECONDS = 0.7
REPORT = ROOT / ".cache" / "bench" / "serving.json"


@dataclass(frozen=True, slots=True)
class Cpus:
    """Where the service runs, and where everything else does."""

    service: int
    load: int


@dataclass(slots=True)
class Cell:
    """All rounds of one way at one number in flight."""

    answered: list[Answered] = field(default_factory=list)
    service_cpu_s: float = 0.0
    envoy_cpu_s: float = 0.0
    load_cpu_s: float = 0.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.serving", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    allowed = sorted(os.sched_getaffinity(0))
    cpus = Cpus(allowed[0], allowed[-1])
    with pinned(cpus.load):
        rows: list[Row] = []
        for case in cases():
            rows += measure(case, cpus, options.rounds)
        figures = Figures(cpus.service == cpus.load, start_up(cpus), rows)
    show(figures)
    write(figures, REPORT)
    return int(any(row.errors for row in rows))


def measure(case: Case, cpus: Cpus, rounds: int) -> list[Row]:
    """Every way and number in flight of one case, in turns."""
    cells = {(way, number): Cell() for number in IN_FLIGHT for way in ("straight", "routed")}
    raw: dict[int, list[Raw]] = {rows: [] for rows in RAW_ROWS}
    with Processes() as processes, tempfile.TemporaryDirectory() as folder:
        with pinned(cpus.service):
            service = processes.service(case.kind, MODELS, "--model", case.model)
        router = processes.router(Path(folder), {case.kind: [service.address]}, worker_threads=1)
        wait_until_routed(router, ready_versions(service.channel))
        envoy = envoy_of(router)
        case.check(service.channel)
        for _ in range(rounds):
            for rows, found in raw.items():
                found.append(run_raw(case, rows, cpus))
            for (way, number), cell in cells.items():
                address = service.address if way == "straight" else router.address
                one_cell(cell, case, address, number, (service.process.pid, envoy))
    alone = {rows: median_raw(found) for rows, found in raw.items()}
    return [row_of(case, way, number, cell, alone) for (way, number), cell in cells.items()]


def one_cell(cell: Cell, case: Case, address: str, in_flight: int, pids: tuple[int, int]) -> None:
    before = [cpu_s(pid) for pid in (*pids, os.getpid())]
    connections = 4 if in_flight > 32 else 1
    cell.answered.append(run_load(address, case.call, in_flight, connections, case.count(in_flight)))
    service_s, envoy_s, load_s = (cpu_s(pid) - was for pid, was in zip((*pids, os.getpid()), before, strict=True))
    cell.service_cpu_s += service_s
    cell.envoy_cpu_s += envoy_s
    cell.load_cpu_s += load_s


def row_of(case: Case, way: str, in_flight: int, cell: Cell, raw: dict[int, Raw]) -> Row:
    latencies = sorted(latency for answered in cell.answered for latency in answered.latencies_s)
    count = len(latencies)
    return Row(
        case=case.name,
        way=way,
        in_flight=in_flight,
        requests_per_s=statistics.median(len(a.latencies_s) / a.elapsed_s for a in cell.answered),
        p50_ms=latencies[count // 2] * 1e3,
        p99_ms=latencies[int(count * 0.99)] * 1e3,
        service_cpu_us=cell.service_cpu_s / count * 1e6,
        envoy_cpu_us=cell.envoy_cpu_s / count * 1e6 if way == "routed" else 0.0,
        load_cpu_us=cell.load_cpu_s / count * 1e6,
        raw={str(rows): value for rows, value in raw.items()},
        errors=sum(answered.errors for answered in cell.answered),
    )


def start_up(cpus: Cpus) -> StartUp:
    """A service with one small model: seconds from its start until it has loaded, and what it holds then."""
    seconds: list[float] = []
    for _ in range(3):
        with Processes() as processes, pinned(cpus.service):
            begun = time.perf_counter()
            service = processes.service("tabular", MODELS, "--model", "diabetes")
            seconds.append(time.perf_counter() - begun)
            held = service.process.usage()
    return StartUp(statistics.median(seconds), held.rss_bytes, held.thread_count, held.descriptor_count)


def run_raw(case: Case, rows: int, cpus: Cpus) -> Raw:
    graph = str(newest(case.model) / "model.onnx")
    command = [sys.executable, "-m", "bench.raw_session", graph, str(rows), str(RAW_SECONDS)]
    with pinned(cpus.service):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return Raw(**json.loads(done.stdout))


def median_raw(found: Sequence[Raw]) -> Raw:
    return Raw(statistics.median(raw.rows_per_s for raw in found), statistics.median(raw.cpu_us for raw in found))


def envoy_of(router: Server) -> int:
    children = psutil.Process(router.process.pid).children(recursive=True)
    return next(int(child.pid) for child in children if "envoy" in child.name())


def cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


@contextmanager
def pinned(cpu: int) -> Iterator[None]:
    """What is started in the block inherits the CPU."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


if __name__ == "__main__":
    sys.exit(main())
