"""Which queue discipline answers most in time under three times the capacity: four of them, by a clock of numbers.

`python -m bench.disciplines` prints a table. Arrivals, batches and deadlines are the same for all; time is simulated,
so that the figures are the same on every machine. One worker takes batches of up to 32 rows, which take 5 ms and 10 ms
a row, give or take a tenth; callers wait one second. What the fronts do is their own line, in `portable_line.py`.
Adaptive LIFO and CoDel are those of Maurer 2015, "Fail at Scale", ACM Queue 13(8): the newest first, or less patience,
while the queue has not been empty for a while.
"""

import asyncio
import random
import statistics
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console
from rich.table import Table

from services.runtime.errors import ServingError
from services.runtime.front import QueuePolicy
from services.runtime.portable_batch import Pending
from services.runtime.portable_line import PortableLine

POLICY = QueuePolicy(max_batch_rows=32, capacity_rows=128)
BATCH_S, ROW_S, SPREAD = 0.005, 0.010, 0.1
PATIENCE_S = 1.0
OVERLOAD = 3.0
SECONDS = 120.0
# How long a queue must not have been empty, and what may be waited then.
INTERVAL_S, TARGET_S = 0.1, 0.35
PEAK_ROWS_S = POLICY.max_batch_rows / (BATCH_S + ROW_S * POLICY.max_batch_rows)


class Discipline(Protocol):
    """What to let in, and what to run when the worker is free."""

    def offer(self, request: Pending, now_s: float) -> bool:
        """Whether it may wait."""

    def take(self, now_s: float) -> tuple[list[Pending], list[Pending]]:
        """Those that run now, and those that are refused now."""

    def finished(self, rows: int, taken_s: float, now_s: float) -> None:
        """The batch has run."""


class Fronts:
    """First in, first out, and on arrival whoever cannot be in time is refused: what the fronts do."""

    def __init__(self) -> None:
        self._line = PortableLine("m", POLICY)

    def offer(self, request: Pending, now_s: float) -> bool:
        try:
            self._line.check(request, now_s)
        except ServingError:
            return False
        self._line.push(request)
        return True

    def take(self, now_s: float) -> tuple[list[Pending], list[Pending]]:
        late = self._line.expired(now_s)
        return self._line.next(now_s), late

    def finished(self, rows: int, taken_s: float, now_s: float) -> None:
        self._line.finished(rows, taken_s, now_s - taken_s)


class Bounded:
    """A queue with room for `capacity_rows`, and who leaves it."""

    def __init__(self, newest_first_when_long: bool, controlled_delay: bool) -> None:
        self._newest_first, self._controlled = newest_first_when_long, controlled_delay
        self._waiting: deque[Pending] = deque()
        self._empty_s = 0.0

    def offer(self, request: Pending, now_s: float) -> bool:
        if not self._waiting:
            self._empty_s = now_s
        if len(self._waiting) >= POLICY.capacity_rows:
            return False
        self._waiting.append(request)
        return True

    def take(self, now_s: float) -> tuple[list[Pending], list[Pending]]:
        standing = now_s - self._empty_s > INTERVAL_S
        patience_s = TARGET_S if self._controlled and standing else PATIENCE_S
        late = [request for request in self._waiting if now_s - request.arrived > patience_s]
        left = [request for request in self._waiting if now_s - request.arrived <= patience_s]
        if self._newest_first and standing:
            left.reverse()
        batch = left[: POLICY.max_batch_rows]
        self._waiting = deque(sorted(left[POLICY.max_batch_rows :], key=lambda request: request.arrived))
        if not self._waiting:
            self._empty_s = now_s
        return batch, late

    def finished(self, rows: int, taken_s: float, now_s: float) -> None:
        """Nothing is learned."""


DISCIPLINES: dict[str, Callable[[], Discipline]] = {
    "FIFO": lambda: Bounded(newest_first_when_long=False, controlled_delay=False),
    "adaptive LIFO": lambda: Bounded(newest_first_when_long=True, controlled_delay=False),
    "CoDel": lambda: Bounded(newest_first_when_long=False, controlled_delay=True),
    "adaptive LIFO and CoDel": lambda: Bounded(newest_first_when_long=True, controlled_delay=True),
    "FIFO, refused on arrival by the measured time": Fronts,
}


@dataclass(slots=True)
class Outcome:
    """Latencies of what was answered in time, and how long the others were left without an answer; in seconds."""

    in_time_s: list[float] = field(default_factory=list)
    too_late: int = 0
    refused_after_s: list[float] = field(default_factory=list)

    def add(self, batch: list[Pending], now_s: float) -> None:
        """A batch has been answered."""
        in_time = [now_s - request.arrived for request in batch if now_s - request.arrived <= PATIENCE_S]
        self.in_time_s += in_time
        self.too_late += len(batch) - len(in_time)


def main() -> None:
    table = Table("discipline", "answered in time, of the peak", "p50 / p99 ms", "ran for nobody", "refused after ms")
    for name, make in DISCIPLINES.items():
        outcome = simulate(make())
        goodput = len(outcome.in_time_s) / SECONDS / PEAK_ROWS_S
        ran = len(outcome.in_time_s) + outcome.too_late
        table.add_row(
            name,
            f"{goodput:.1%}",
            quantiles_ms(outcome.in_time_s),
            f"{outcome.too_late / max(1, ran):.1%}",
            quantiles_ms(outcome.refused_after_s),
        )
    Console(width=130).print(table)


def simulate(discipline: Discipline) -> Outcome:
    """Offer the same arrivals to a discipline, run what it takes, and see what comes of each."""
    outcome, noise, coming = Outcome(), random.Random(2), Coming()
    now_s = 0.0
    while now_s < SECONDS:
        coming.offer(discipline, outcome, now_s)
        batch, late = discipline.take(now_s)
        outcome.refused_after_s += (now_s - request.arrived for request in late)
        if not batch:
            now_s = coming.next_one.arrived
            continue
        taken_s = now_s
        compute_s = (BATCH_S + ROW_S * len(batch)) * noise.uniform(1 - SPREAD, 1 + SPREAD)
        now_s += compute_s
        coming.offer(discipline, outcome, now_s)  # what arrives while the worker is busy
        discipline.finished(len(batch), taken_s, now_s)
        outcome.add(batch, now_s)
    return outcome


class Coming:
    """Requests of one row each, at random times."""

    def __init__(self) -> None:
        self._arrivals = arrivals()
        self.next_one = next(self._arrivals)

    def offer(self, discipline: Discipline, outcome: Outcome, until_s: float) -> None:
        """Offer all that arrive until then."""
        while self.next_one.arrived <= until_s:
            if not discipline.offer(self.next_one, self.next_one.arrived):
                outcome.refused_after_s.append(0.0)
            self.next_one = next(self._arrivals)


def arrivals() -> Iterator[Pending]:
    chance, now_s, loop = random.Random(1), 0.0, asyncio.new_event_loop()
    answer = loop.create_future()
    loop.close()
    while True:
        now_s += chance.expovariate(OVERLOAD * PEAK_ROWS_S)
        yield Pending("m", b"", 1, now_s, now_s + PATIENCE_S, answer)


def quantiles_ms(times_s: list[float]) -> str:
    if len(times_s) < 2:
        return ""
    cuts = statistics.quantiles(times_s, n=100)
    return f"{cuts[49] * 1e3:.0f} / {cuts[98] * 1e3:.0f}"


if __name__ == "__main__":
    main()
