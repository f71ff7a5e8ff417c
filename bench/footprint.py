"""What each process of a fleet with every reference model takes: seconds until ready, memory at rest and at most.

`python -m bench.footprint`: what the requests and limits in k8s/base rest on. The load is full batches, more of them at
once than a service runs, through the router; then messages near the size limit, each of which Envoy holds whole. Memory
is resident, and the most is the kernel's own account of each process (VmHWM), so no peak is missed. It does not say
what a model of another size needs.
"""

import io
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil
from rich.console import Console
from rich.table import Table

from argosy.v1.text_pb2 import TextServiceTagRequest
from bench.cases import photos
from tests.e2e import traffic as t
from tests.e2e.calls import call
from tests.e2e.conftest import KINDS, ready_versions, wait_until_routed
from tests.e2e.harness import Processes, Server, usage

ROWS = 32
AT_ONCE = 12
CALLS = 12
TEXT = "What a lovely morning it was, and how we came to miss it nobody could say. " * 14
LARGE_BYTES, LARGE_AT_ONCE = 60 << 20, 4
TIMEOUT_S = 300.0
TEXT_TAG = "/argosy.v1.TextService/Tag"


@dataclass(frozen=True, slots=True)
class Footprint:
    """One process; `ready_s` is None where it is not waited for on its own."""

    name: str
    models: tuple[str, ...]
    pid: int
    ready_s: float | None
    rest_bytes: int


def main() -> int:
    with Processes() as processes, tempfile.TemporaryDirectory() as folder:
        services = {kind: _started(processes, kind) for kind in KINDS}
        router = processes.router(Path(folder), {kind: [server.address] for kind, (server, _) in services.items()})
        wait_until_routed(router, [key for server, _ in services.values() for key in ready_versions(server.channel)])
        found = [footprint for _, footprint in services.values()] + _of_router(router)
        full = _asked(router, full_batches() * CALLS, AT_ONCE)
        batches = {footprint.pid: most_bytes(footprint.pid) for footprint in found}
        large = _asked(router, [(t.VISION_CLASSIFY, t.classify(bytes(LARGE_BYTES)))] * LARGE_AT_ONCE, LARGE_AT_ONCE)
        report(found, batches)
    print(f"{full} of {CALLS * len(full_batches())} full batches answered; {large} large messages, which are no images")
    return 0


def _started(processes: Processes, kind: str) -> tuple[Server, Footprint]:
    begun = time.perf_counter()
    server = processes.service(kind, t.MODELS)
    ready_s = time.perf_counter() - begun
    models = tuple(sorted({model for model, _ in ready_versions(server.channel)}))
    return server, Footprint(kind, models, server.process.pid, ready_s, server.process.usage().rss_bytes)


def _of_router(router: Server) -> list[Footprint]:
    pids = {"router": router.process.pid}
    pids |= {child.name(): int(child.pid) for child in psutil.Process(router.process.pid).children(recursive=True)}
    return [Footprint(name, (), pid, None, usage(pid).rss_bytes) for name, pid in pids.items()]


def full_batches() -> list[tuple[str, bytes]]:
    """One request of each kind with as many rows as a batch may have."""
    buffer = io.BytesIO()
    photos()[0].save(buffer, "JPEG", quality=85)
    texts = [TEXT[:1000]] * ROWS
    tag = TextServiceTagRequest(model="grammar", texts=texts).SerializeToString()
    return [
        (t.VISION_CLASSIFY, t.classify(*[buffer.getvalue()] * ROWS, model="mobilenet")),
        (t.TEXT_EMBED, t.embed(*texts)),
        (TEXT_TAG, tag),
        (t.PREDICT, t.predict(*[t.row("income")] * ROWS)),
    ]


def _asked(router: Server, requests: Sequence[tuple[str, bytes]], at_once: int) -> int:
    """How many of them were answered; the others were refused, which takes memory too."""

    def ask(request: tuple[str, bytes]) -> bool:
        with suppress(grpc.RpcError):
            call(router.channel, *request, timeout_s=TIMEOUT_S)
            return True
        return False

    with ThreadPoolExecutor(at_once) as callers:
        return sum(callers.map(ask, requests))


def most_bytes(pid: int) -> int:
    """The most memory that a process has held so far."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields["VmHWM"].split()[0]) * 1024


def report(found: Sequence[Footprint], batches: dict[int, int]) -> None:
    table = Table("process", "models", "ready after", "at rest", "full batches", "large messages too")
    for one in found:
        ready = "" if one.ready_s is None else f"{one.ready_s:.1f} s"
        sizes = (one.rest_bytes, batches[one.pid], most_bytes(one.pid))
        table.add_row(one.name, ", ".join(one.models), ready, *(f"{size / 2**20:,.0f} MiB" for size in sizes))
    Console(width=130).print(table)


if __name__ == "__main__":
    sys.exit(main())
