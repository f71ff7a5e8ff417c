"""What a service loses of a card: requests a second of one row beside the same session alone, on the same device.

`python -m bench.gpu [PROVIDER [MODEL …]]` (cuda, all) takes the models of tensors that `bench.cases` has. The session
alone is the service's own, with the same settings, run in full batches without any RPC; the service has `IN_FLIGHT`
requests at a time. The two take turns; what is told is the median of the rounds and their ratio, for which the goal is
0.95. With PROVIDER cpu the service, the load and the session share the CPUs, so the ratio says nothing; it shows that
this runs.
"""

import statistics
import sys
import time

import numpy as np

from bench.cases import Case, cases
from bench.generator import Generator, Load, generator
from bench.tensors import inputs_of
from services.runtime.devices import executions
from services.runtime.errors import ServingError
from services.runtime.session import Session
from tests.e2e.harness import ROOT, Processes

BATCH_ROWS = 32
IN_FLIGHT = 128
ROUNDS = 5
SECONDS = 2.0
GOAL = 0.95


def alone(case: Case, provider: str) -> float:
    """Rows a second of the session in this process."""
    [execution] = executions(provider, 1, instances=1, device_ids=(0,), memory_mb=0, options={})
    session = Session(case.graph, execution, BATCH_ROWS)
    row = inputs_of(case.requests.messages[0])
    batch = {name: np.concatenate([values] * BATCH_ROWS) for name, values in row.items()}
    session.start().outputs(batch)
    runs, begun = 0, time.perf_counter()
    while (elapsed_s := time.perf_counter() - begun) < SECONDS:
        session.start().outputs(batch)
        runs += 1
    return runs * BATCH_ROWS / elapsed_s


def served(case: Case, address: str, sender: Generator) -> float:
    """Requests a second of the service. Raises AssertionError where one is answered with an error."""
    load, count = Load(IN_FLIGHT, 1), 2 * IN_FLIGHT
    while True:
        answered = sender.run(address, case.requests, load, count)
        assert answered.errors == 0, f"{case.name}: {answered.errors} errors"
        if answered.elapsed_s >= SECONDS:
            return answered.requests_per_s
        count = int(count * max(2.0, SECONDS / answered.elapsed_s))


def compare(case: Case, provider: str, sender: Generator) -> None:
    alone(case, provider)  # a device that is not there is told before a service is started
    with Processes() as processes:
        flags = ("--model", case.model, "--provider", provider)
        service = processes.service(case.kind, case.models_dir, *flags)
        pairs = [(alone(case, provider), served(case, service.address, sender)) for _ in range(ROUNDS)]
    rows_per_s, requests_per_s = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(got / there_is for there_is, got in pairs)
    told = f"{case.name}: alone {rows_per_s:,.0f} rows/s, served {requests_per_s:,.0f} requests/s"
    print(f"{told}, ratio {ratio:.2f} (goal {GOAL})", flush=True)


def main(provider: str = "cuda", *names: str) -> None:
    sender = generator()
    for case in cases(ROOT / ".cache" / "bench" / "models"):
        if case.is_tensors and (case.name in names or not names) and sender.can_send(case.requests, Load(IN_FLIGHT, 1)):
            compare(case, provider, sender)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ServingError as error:
        sys.exit(f"bench.gpu: {error}")
