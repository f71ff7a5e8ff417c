"""ONNX Runtime alone in a process, without any RPC: what a graph costs at one batch size. It is what there is to lose.

`python -m bench.raw_session MODEL.onnx ROWS SECONDS` prints rows/s and CPU µs a row as JSON; inputs are zeros, one
thread, as in a service.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort

_DTYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


def measure(model: Path, rows: int, seconds: float) -> dict[str, float]:
    """Runs batches of `rows` for about `seconds` after a warm-up."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    feeds = {node.name: np.zeros((rows, *node.shape[1:]), _DTYPES[node.type]) for node in session.get_inputs()}
    for _ in range(3):
        session.run(None, feeds)
    runs, begun, cpu_begun = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - begun < seconds:
        session.run(None, feeds)
        runs += 1
    elapsed_s, cpu_s = time.perf_counter() - begun, time.process_time() - cpu_begun
    return {"rows_per_s": runs * rows / elapsed_s, "cpu_us": cpu_s / (runs * rows) * 1e6}


if __name__ == "__main__":
    json.dump(measure(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])), sys.stdout)
