"""A session on the CPU that counts what is asked of it, and bound runs of it."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnxruntime as ort

from services.runtime.capture_gate import CaptureGate
from services.runtime.card import Staging
from services.runtime.device_buffers import HOST, DeviceBuffers
from services.runtime.device_runs import DeviceRuns, Graphs
from services.runtime.front import Array
from services.runtime.graph_nodes import bound_nodes


class CountedSession(ort.InferenceSession):  # type: ignore[misc]
    """Counts the bindings that are made, and the graph numbers and rows that runs are given."""

    def __init__(self, graph: bytes) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = 4
        super().__init__(graph, options, providers=["CPUExecutionProvider"])
        self.bindings = 0
        self.graphs: list[int] = []
        self.rows: list[int] = []

    def io_binding(self) -> ort.IOBinding:
        self.bindings += 1
        return super().io_binding()

    def run_with_iobinding(self, iobinding: ort.IOBinding, run_options: ort.RunOptions) -> None:
        try:
            self.graphs.append(int(run_options.get_run_config_entry("gpu_graph_id")))
        except RuntimeError:  # none was given
            self.graphs.append(0)
        self.rows.append(len(next(iter(iobinding._bound_inputs.values())).numpy()))
        super().run_with_iobinding(iobinding, run_options)


def runs(
    session: CountedSession,
    graphs: Graphs | None = None,
    gate: CaptureGate | None = None,
    calls: list[str] | None = None,
) -> DeviceRuns:
    """`calls` are told of what is asked of the card before the session is."""
    nodes, told = bound_nodes(session, HOST), [] if calls is None else calls
    assert nodes is not None

    def staging(shape: Sequence[int], dtype: "np.dtype[np.generic]") -> Staging:
        told.append("staging")
        return Staging(shape, dtype, None)

    buffers = DeviceBuffers(session, nodes.inputs, nodes.outputs, staging)
    return DeviceRuns(session, buffers, gate or CaptureGate(), graphs, lambda: told.append("card"))


def graphs_of(*rows: int, max_rows: int = 0) -> Graphs:
    return Graphs(rows, ort.RunOptions, max_rows or rows[-1])


def assert_as_plain(session: CountedSession, bound: DeviceRuns, inputs: Mapping[str, Array]) -> None:
    plain = session.run(None, inputs)
    found = bound.run(inputs, ort.RunOptions())
    assert found is not None
    assert [(array.dtype, array.shape, array.tobytes()) for array in found] == [
        (array.dtype, array.shape, array.tobytes()) for array in plain
    ]
