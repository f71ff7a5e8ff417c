"""Two services in turns: what a request costs one more than the other, on a machine that is not the same all the time.

In each round both are asked as many requests, one straight after the other, now the one first and now the other, so
that a slower minute moves both. Told are the quartiles of the rounds' ratios, and the ratio of the least costs: what
else runs on the machine can only add to a cost. Two services that are the same show what cannot be told apart.
"""

import statistics
from collections.abc import Sequence

from bench.cases import Case
from bench.contenders import Running, checked
from bench.generator import Generator, Load
from bench.machine import cpu_s
from bench.measure import rate
from tests.e2e.harness import Server

ROUNDS = 60
SECONDS = 0.25


def running(servers: Sequence[Server], case: Case) -> list[Running]:
    """The services, once they have answered every message rightly."""
    found = [Running(server.address, server.channel, server.process.pid) for server in servers]
    for one in found:
        checked(one, case)
    return found


def compared(pair: Sequence[Running], case: Case, load: Load, sender: Generator, rounds: int) -> str:
    """CPU µs a request of either, and how much more the first one's are, over all rounds."""
    count = int(rate(pair[0], case, load, sender) * SECONDS)
    spent = []
    for number in range(rounds):
        order = pair if number % 2 == 0 else pair[::-1]
        own = {one.pid: cpu_us(one, case, load, sender, count) for one in order}
        spent.append([own[one.pid] for one in pair])
    first, second = (min(side) for side in zip(*spent, strict=True))
    low, middle, high = statistics.quantiles([(one / other - 1) * 100 for one, other in spent], n=4)
    told = (
        f"{load.name}: at the least {first:.1f} and {second:.1f} CPU µs a request, {(first / second - 1) * 100:+.1f} %"
    )
    return f"{told}; by rounds {middle:+.1f} % ({low:+.1f} to {high:+.1f}); {rounds} rounds of {count:,} requests"


def cpu_us(one: Running, case: Case, load: Load, sender: Generator, count: int) -> float:
    """The server's, a request."""
    before_s = cpu_s(one.pid)
    answered = sender.run(one.address, case.requests, load, count)
    assert answered.errors == 0, f"{answered.errors} of {count} requests were answered with errors"
    return (cpu_s(one.pid) - before_s) / count * 1e6
