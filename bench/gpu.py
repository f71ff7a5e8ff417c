"""What a service loses of a card: requests a second of one row beside the same session alone, on the same device.

`python -m bench.gpu [--provider cuda|tensorrt|cpu] [--seconds S] [--rounds N] [MODEL …]` takes the models of tensors
that `bench.cases` has, compares every answer with ONNX Runtime's own on the CPU, and lets three things take turns: the
service, asked for `IN_FLIGHT` rows at a time; its own session alone, in full batches without any RPC; and ONNX
Runtime's plain `run`, to show what the buffers on the card are worth. What is told is the median of the rounds, and the
service's part of the better of the two, for which the goal is 0.95.

With the provider cpu the service, the load and the session share the CPUs, so the ratio says nothing; it shows that
this runs.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort

from bench.cases import Case, cases
from bench.generator import Generator, Load, generator
from bench.tensors import as_feeds, inputs_of
from services.runtime.capture_gate import CaptureGate
from services.runtime.cpus import usable_cpus
from services.runtime.devices import Wanted, executions
from services.runtime.errors import ServingError
from services.runtime.session import PROVIDERS, Session
from tests.e2e.harness import ROOT, Processes

BATCH_ROWS = 32
IN_FLIGHT = 128
GOAL = 0.95
# TensorRT builds an engine for each model, for minutes.
LOAD_S = 900.0


@dataclass(frozen=True, slots=True)
class Length:
    """How long each of the three is measured a round, and how many rounds there are."""

    seconds: float
    rounds: int


def session_of(case: Case, provider: str) -> Session:
    """As the service has it."""
    [execution] = executions(Wanted(provider, usable_cpus(), 1), CaptureGate())
    return Session(case.graph, execution, BATCH_ROWS)


def plain_session(case: Case, provider: str) -> ort.InferenceSession:
    """ONNX Runtime's own, with the same options."""
    [execution] = executions(Wanted(provider, usable_cpus(), 1), CaptureGate())
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = execution.threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = [(PROVIDERS[provider], dict(execution.options))]
    return ort.InferenceSession(str(case.graph), options, providers=providers, enable_fallback=0)


def rows_per_s(run: Callable[[], object], seconds: float) -> float:
    """Of full batches, after one that is not counted."""
    run()
    runs, begun = 0, time.perf_counter()
    while (elapsed_s := time.perf_counter() - begun) < seconds:
        run()
        runs += 1
    return runs * BATCH_ROWS / elapsed_s


def served_per_s(case: Case, address: str, sender: Generator, seconds: float) -> float:
    """Requests a second of the service. Raises AssertionError where one is answered with an error, or wrongly."""
    load, count = Load(IN_FLIGHT, 1), 2 * IN_FLIGHT
    while True:
        answered = sender.run(address, case.requests, load, count)
        assert answered.errors == 0, f"{case.name}: {answered.errors} errors"
        complaints = [case.complaint(message, answer) for message, answer, _ in answered.ways]
        assert not any(complaints), f"{case.name}: {next(filter(None, complaints))}"
        if answered.elapsed_s >= seconds:
            return answered.requests_per_s
        count = int(count * max(2.0, seconds / answered.elapsed_s))


def compare(case: Case, provider: str, sender: Generator, length: Length) -> str:
    """One line of figures."""
    session = session_of(case, provider)  # a device that is not there is told before a service is started
    row = inputs_of(case.requests.messages[0])
    batch = {name: np.concatenate([values] * BATCH_ROWS) for name, values in row.items()}
    plain, feeds = plain_session(case, provider), as_feeds(batch)
    with Processes() as processes:
        flags = ("--model", case.model, "--provider", provider)
        service = processes.service(case.kind, case.models_dir, *flags, load_s=LOAD_S)
        rounds = [
            (
                rows_per_s(lambda: plain.run(None, feeds), length.seconds),
                rows_per_s(lambda: session.start().outputs(batch), length.seconds),
                served_per_s(case, service.address, sender, length.seconds),
            )
            for _ in range(length.rounds)
        ]
    by_run, alone, served = (statistics.median(side) for side in zip(*rounds, strict=True))
    ratio = statistics.median(got / max(plain_run, bound) for plain_run, bound, got in rounds)
    told = f"{case.name}: run {by_run:,.0f} rows/s, session {alone:,.0f} rows/s, served {served:,.0f} requests/s"
    return f"{told}, ratio {ratio:.2f} (goal {GOAL})"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description="A service beside its session alone.")
    parser.add_argument("--provider", choices=("cuda", "tensorrt", "cpu"), default="cuda")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("model", nargs="*", help="all of bench.cases that are tensors unless named")
    given = parser.parse_args(arguments)
    sender, length = generator(), Length(given.seconds, given.rounds)
    print(f"provider {given.provider}, load by {sender.name}", flush=True)
    for case in cases(ROOT / ".cache" / "bench" / "models"):
        wanted = case.name in given.model or not given.model
        if case.is_tensors and wanted and sender.can_send(case.requests, Load(IN_FLIGHT, 1)):
            print(compare(case, given.provider, sender, length), flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ServingError as error:
        sys.exit(f"bench.gpu: {error}")
