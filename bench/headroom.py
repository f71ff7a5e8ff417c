"""What is left of the load itself: how much it asks of a server that does nothing, and what that costs the load.

A contender that answers nearly as much as the echo is measured as slower than it is; one far below is not.
"""

from dataclasses import replace

from bench.cases import OF_SMALL_MODEL, Case
from bench.contenders import Running
from bench.figures import Row
from bench.generator import Generator
from bench.machine import Cpus, pinned
from bench.measure import Cell, Plan, put, rate, row_of
from tests.e2e.harness import Processes


def measure(case: Case, sender: Generator, cpus: Cpus, plan: Plan) -> tuple[Row, ...]:
    """The case's messages against the echo, which sends each back; nothing where the echo was not built."""
    if sender.echo is None:
        return ()
    sent = case.requests.messages
    echoed = replace(case, complaint=lambda message, answer: "" if answer == sent[message] else "it is another")
    with Processes() as processes:
        with pinned(cpus.server):
            server = processes.serve("echo", [str(sender.echo)], loaded=False)
        running = Running(server.address, server.channel, server.process.pid)
        cells = []
        for load in OF_SMALL_MODEL:
            count = int(rate(running, echoed, load, sender) * plan.seconds)
            cells.append(Cell(running, load, max(2 * load.in_flight, count)))
        for _ in range(plan.rounds):
            for cell in cells:
                put(cell, echoed, sender)
    return tuple(row_of("echo", cell, echoed) for cell in cells)
