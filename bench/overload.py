"""What a service does under three times the load that it can bear: how much it answers in time, how fast it refuses.

`python -m bench.overload [--seconds 10] [--front native]` asks MobileNetV2 about JPEGs: first for the peak, by callers
who wait for an answer before they ask again; then at three times that rate, at even intervals, whatever comes back,
each caller with the same patience. An answer counts when its caller still waits for it. The service has one CPU, the
load has another. Exit code 1 where less than 95 % of the peak is answered, or refusals take more than 10 ms at the
median or do not say when to come back.
"""

import argparse
import asyncio
import io
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import skimage.data
from grpc import aio
from PIL import Image
from rich.console import Console

from services.runtime.fronts import FRONTS
from tests.contract.harness import refusal_of
from tests.e2e import traffic as t
from tests.e2e.harness import Processes

IN_FLIGHT = 64
PATIENCE_S = 1.0
OVERLOAD = 3.0
LEAST_GOODPUT = 0.95
REFUSAL_S = 0.010
# Some seconds in which the front learns how long a batch takes.
WARM_UP_S = 3.0

Ask = Callable[[], Awaitable[bytes]]


@dataclass(slots=True)
class Tally:
    """Latencies in seconds, of answers and of refusals, and what was refused with which reason."""

    answered_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    without_retry: int = 0
    too_late: int = 0

    async def ask(self, ask: Ask) -> None:
        begun = time.perf_counter()
        try:
            await ask()
        except aio.AioRpcError as error:
            self._count(error, time.perf_counter() - begun)
        else:
            self.answered_s.append(time.perf_counter() - begun)

    def _count(self, error: aio.AioRpcError, after_s: float) -> None:
        if after_s >= PATIENCE_S:
            self.too_late += 1
            return
        refusal = refusal_of(error)
        self.refused_s.append(after_s)
        self.reasons[refusal.reason] += 1
        self.without_retry += refusal.retry_after_s is None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--front", choices=sorted(FRONTS), action="append", help="if none is named, every one")
    options = parser.parse_args()
    allowed = sorted(os.sched_getaffinity(0))
    right = [measure(front, allowed, options.seconds) for front in options.front or FRONTS]
    return int(not all(right))


def measure(front: str, cpus: list[int], seconds: float) -> bool:
    """Print the figures of one front; whether they are as they should be."""
    with Processes() as processes:
        os.sched_setaffinity(0, {cpus[0]})  # what is started inherits it
        service = processes.service("vision", t.MODELS, "--model", "mobilenet", "--front", front)
        os.sched_setaffinity(0, {cpus[-1]})
        peak_per_s, tally = asyncio.run(load(service.address, seconds))
    goodput = len(tally.answered_s) / seconds / peak_per_s
    Console(width=130).print(
        f"{front}: peak {peak_per_s:.0f}/s; under {OVERLOAD:g} times that {goodput:.1%} of it is answered, "
        f"{quantiles_ms(tally.answered_s)} ms (p50 / p99), {tally.too_late} too late; "
        f"{len(tally.refused_s)} refused in {quantiles_ms(tally.refused_s)} ms: {dict(tally.reasons)}"
    )
    quick = statistics.median(tally.refused_s or [0.0]) < REFUSAL_S
    return goodput >= LEAST_GOODPUT and quick and not tally.without_retry


async def load(address: str, seconds: float) -> tuple[float, Tally]:
    """Answers a second at the peak, and what came of three times as many requests."""
    message = t.classify(photo(), model="mobilenet")
    async with aio.insecure_channel(address) as channel:
        method: aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(t.VISION_CLASSIFY)
        await closed_loop(lambda: method(message), WARM_UP_S)
        peak_per_s = await closed_loop(lambda: method(message), seconds) / seconds
        await open_loop(lambda: method(message, timeout=PATIENCE_S), OVERLOAD * peak_per_s, WARM_UP_S)
        tally = await open_loop(lambda: method(message, timeout=PATIENCE_S), OVERLOAD * peak_per_s, seconds)
    return peak_per_s, tally


async def closed_loop(ask: Ask, seconds: float) -> int:
    """How many answers IN_FLIGHT callers get who ask again after each."""
    end, answers = time.perf_counter() + seconds, 0

    async def call() -> None:
        nonlocal answers
        while time.perf_counter() < end:
            await ask()
            answers += time.perf_counter() < end

    await asyncio.gather(*(call() for _ in range(IN_FLIGHT)))
    return answers


async def open_loop(ask: Ask, per_s: float, seconds: float) -> Tally:
    """Ask `per_s` times a second, whatever comes back."""
    tally, calls = Tally(), set[asyncio.Task[None]]()
    begun = time.perf_counter()
    for number in range(int(per_s * seconds)):
        await asyncio.sleep(max(0.0, begun + number / per_s - time.perf_counter()))
        calls.add(asyncio.create_task(tally.ask(ask)))
    await asyncio.gather(*calls)
    return tally


def photo() -> bytes:
    """A JPEG of 400 x 266 pixels."""
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.coffee()).resize((400, 266)).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def quantiles_ms(times_s: list[float]) -> str:
    if len(times_s) < 2:
        return "-"
    cuts = statistics.quantiles(times_s, n=100)
    return f"{cuts[49] * 1e3:.1f} / {cuts[98] * 1e3:.1f}"


if __name__ == "__main__":
    sys.exit(main())
