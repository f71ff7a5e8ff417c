"""What a run costs beside a bound one: the small model in one process, least CPU µs of several rounds.

`python -m bench.bound_runs`: a plain run and bound ones, at one row and at a batch. A bound run with options that say
nothing of `gpu_graph_id` is there because it is so slow.
"""

import time
from collections.abc import Callable

import numpy as np
import onnxruntime as ort

from bench import alone, mlp
from bench.cases import newest_graph
from services.runtime.device_runs import NO_GRAPH, graph_options
from services.runtime.front import Array
from tests.e2e.harness import ROOT

ROW_COUNTS = (1, 32)
ROUNDS, RUNS = 15, 2000


def main() -> None:
    folder = ROOT / ".cache" / "bench" / "models"
    mlp.published(folder)
    session = alone.session(newest_graph(folder, mlp.NAME))
    found = {rows: _least(_ways(session, mlp.rows()[:rows])) for rows in ROW_COUNTS}
    for way in next(iter(found.values())):
        print(f"{way:36}", *(f"{found[rows][way]:6.1f} µs at {rows}" for rows in ROW_COUNTS))


def _ways(session: ort.InferenceSession, x: Array) -> dict[str, Callable[[], object]]:
    names = [output.name for output in session.get_outputs()]
    feeds = {mlp.INPUT: np.ascontiguousarray(x)}
    outputs = session.run(names, feeds)
    binding = session.io_binding()
    for name, array in feeds.items():
        binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    for name, array in zip(names, outputs, strict=True):
        binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    unsaid, said = ort.RunOptions(), graph_options(ort.RunOptions(), NO_GRAPH)
    return {
        "plain, new options": lambda: session.run(names, feeds, ort.RunOptions()),
        "bound, gpu_graph_id not said": lambda: session.run_with_iobinding(binding, unsaid),
        "bound, gpu_graph_id said": lambda: session.run_with_iobinding(binding, said),
        "bound, no options": lambda: session.run_with_iobinding(binding),
    }


def _least(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The ways take turns, so that a busy moment meets all of them."""
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, run in ways.items():
            begun_ns = time.thread_time_ns()
            for _ in range(RUNS):
                run()
            least[name] = min(least[name], (time.thread_time_ns() - begun_ns) / RUNS / 1000)
    return least


if __name__ == "__main__":
    main()
