"""A service with one small model: seconds from its start until it has loaded, and what it holds then."""

import statistics
import time

from bench.cases import Case
from bench.contenders import service
from bench.figures import StartUp
from bench.machine import Cpus
from services.runtime.fronts import FRONTS
from tests.e2e.harness import Processes

TIMES = 3


def measure(case: Case, cpus: Cpus) -> tuple[StartUp, ...]:
    """With each front that is installed."""
    return tuple(_with_front(front, case, cpus) for front in FRONTS)


def _with_front(front: str, case: Case, cpus: Cpus) -> StartUp:
    seconds: list[float] = []
    for _ in range(TIMES):
        with Processes() as processes:
            begun = time.perf_counter()
            server = service(front, processes, case, cpus)
            seconds.append(time.perf_counter() - begun)
            held = server.process.usage()
    return StartUp(front, statistics.median(seconds), held.rss_bytes, held.thread_count, held.descriptor_count)
