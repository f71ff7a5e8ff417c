"""ONNX Runtime alone in a process, without any RPC: what a graph costs at one batch size. It is what there is to lose.

`python -m bench.alone MODEL.onnx MESSAGE ROWS SECONDS` runs the rows of an encoded ModelInferRequest, repeated to a
batch of ROWS, and prints rows/s and CPU µs a row as JSON; one thread, as in a service.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnxruntime as ort

from bench.cases import Case
from bench.figures import Raw
from bench.machine import Cpus, pinned
from bench.tensors import as_feeds, inputs_of
from tests.e2e.harness import ROOT

BATCHES = (1, 8, 32)
SECONDS = 0.7
TIMEOUT_S = 60


def measure(case: Case, cpus: Cpus, batches: Sequence[int] = BATCHES) -> list[Raw]:
    """The case's graph at several batch sizes, on the server's CPU."""
    with tempfile.NamedTemporaryFile() as message, pinned(cpus.server):
        Path(message.name).write_bytes(case.row)
        command = [sys.executable, "-m", "bench.alone", str(case.graph), message.name]
        outputs = [
            subprocess.run(
                [*command, str(rows), str(SECONDS)],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
                timeout=TIMEOUT_S,
            ).stdout
            for rows in batches
        ]
    return [Raw(**json.loads(output)) for output in outputs]


def medians(found: Sequence[Raw]) -> tuple[Raw, ...]:
    """One figure a batch size."""
    by_rows = {rows: [raw for raw in found if raw.rows == rows] for rows in dict.fromkeys(raw.rows for raw in found)}
    return tuple(
        Raw(rows, statistics.median(r.rows_per_s for r in raws), statistics.median(r.cpu_us for r in raws))
        for rows, raws in by_rows.items()
    )


def session(model: Path) -> ort.InferenceSession:
    """On one thread."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def run(model: Path, message: bytes, rows: int, seconds: float) -> Raw:
    """Runs batches of `rows` for about `seconds` after a warm-up."""
    alone = session(model)
    feeds = {name: np.concatenate([values] * rows) for name, values in as_feeds(inputs_of(message)).items()}
    for _ in range(3):
        alone.run(None, feeds)
    runs, begun, cpu_begun = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - begun < seconds:
        alone.run(None, feeds)
        runs += 1
    elapsed_s, used_s = time.perf_counter() - begun, time.process_time() - cpu_begun
    return Raw(rows, runs * rows / elapsed_s, used_s / (runs * rows) * 1e6)


if __name__ == "__main__":
    _, given_model, given_message, given_rows, given_seconds = sys.argv
    figures = run(Path(given_model), Path(given_message).read_bytes(), int(given_rows), float(given_seconds))
    json.dump(asdict(figures), sys.stdout)
