"""Runs on a card through buffers that stay where they are: what is copied to the card, and back, is copied once.

With CUDA graphs a run of a preferred number of rows is captured the first time, once a thread as ONNX Runtime keeps
them, and replayed from then on, on the same buffers (`device_buffers.py`). Other shapes run as without graphs. A replay
cannot be ended before its time.

A graph reads more than those buffers: the one that ONNX Runtime multiplies a bias by, for example, is a thread's own,
and is freed and made anew where a batch has more rows than any before. So a thread runs the largest batch once,
without a graph, before it captures anything.

Sessions on the CPU have buffers of another kind (`host_runs.py`).

This module deliberately does not tell why a run failed, as ONNX Runtime does not tell it of a bound one; `card_runs.py`
asks again without bindings.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from services.runtime.capture_gate import CaptureGate
from services.runtime.device_buffers import DeviceBuffers, OrtSession, RunOptions, Shape, rows_of
from services.runtime.front import Array

NO_GRAPH = -1


@dataclass(frozen=True, slots=True)
class Graphs:
    """For which numbers of rows a graph is captured; `options` makes those that a run of it has, `max_rows` is how many
    rows a run has at most, with a graph or without.
    """

    rows: tuple[int, ...]
    options: Callable[[], RunOptions]
    max_rows: int


class DeviceRuns:
    """Of one session, on its own buffers. Threads take turns. `use_card` makes the session's card the thread's."""

    def __init__(
        self,
        session: OrtSession,
        buffers: DeviceBuffers,
        gate: CaptureGate,
        graphs: Graphs | None = None,
        use_card: Callable[[], object] = lambda: None,
    ) -> None:
        self._session = session
        self._buffers = buffers
        self._gate = gate
        self._graphs = graphs
        self._use_card = use_card
        self._withholds_graphs = False
        self._unbindable: set[Shape] = set()
        self._failed_captures: Counter[Shape] = Counter()
        self._of_graph: dict[int, Shape] = {}
        self._graph_options: dict[int, RunOptions] = {}
        self._of_thread = threading.local()
        self._lock = threading.Lock()

    @property
    def has_graphs(self) -> bool:
        """Whether a run may be captured."""
        return self._graphs is not None

    def run(self, inputs: Mapping[str, Array], options: RunOptions) -> list[Array] | None:
        """The outputs in the graph's order; None where this shape was given up. Raises what ONNX Runtime raises."""
        self._use_card()  # ONNX Runtime does so later, and with graphs never
        shape = self._buffers.shape_of(inputs)
        if shape in self._unbindable:
            return None
        with self._lock:
            graph = self._graph(shape)
            if self._is_to_capture(graph):
                self._run_largest(inputs, options)
            return self._run(graph, shape, inputs, options)

    @contextmanager
    def without_graphs(self) -> Iterator[None]:
        """For whoever has the session to itself: runs that no other will follow on the same thread capture nothing."""
        self._withholds_graphs = True
        try:
            yield
        finally:
            self._withholds_graphs = False

    def give_up(self, inputs: Mapping[str, Array]) -> None:
        """Bind this shape no more: it cannot be run so."""
        shape = self._buffers.shape_of(inputs)
        with self._lock, self._gate.together():
            self._unbindable.add(shape)
            self._buffers.drop(shape)

    def count_failed_capture(self, inputs: Mapping[str, Array]) -> int:
        """How many captures of this shape have failed, with the one that just has."""
        shape = self._buffers.shape_of(inputs)
        with self._lock:
            self._failed_captures[shape] += 1
            return self._failed_captures[shape]

    def drop_loose(self) -> None:
        """Free all buffers that no graph has."""
        with self._lock, self._gate.together():
            self._buffers.drop_loose()

    def _graph(self, shape: Shape) -> int:
        """The number of the shape's CUDA graph, which is its rows. A graph is of one shape: ONNX Runtime replays it by
        its number, on the buffers that it was captured with, and looks at no other.
        """
        rows = rows_of(shape)
        if self._graphs is None or self._withholds_graphs or rows not in self._graphs.rows:
            return NO_GRAPH
        if self._of_graph.setdefault(rows, shape) != shape:
            return NO_GRAPH
        self._buffers.kept.add(shape)
        return rows

    def _run(self, graph: int, shape: Shape, inputs: Mapping[str, Array], options: RunOptions) -> list[Array]:
        with self._passing(graph):
            bound = self._buffers.of(shape)
            bound.fill(inputs)
            self._session.run_with_iobinding(bound.binding, self._options(graph, options))
            self._of_thread.most_rows = max(self._most_rows(), rows_of(shape))
            return bound.binding.copy_outputs_to_cpu()

    def _run_largest(self, inputs: Mapping[str, Array], options: RunOptions) -> None:
        """Unless this thread has: what it would free of ONNX Runtime's buffers, no graph has yet."""
        if self._graphs is None or self._most_rows() >= self._graphs.max_rows:
            return
        rows = self._graphs.max_rows
        largest = {name: np.resize(values, (rows, *values.shape[1:])) for name, values in inputs.items()}
        self._run(NO_GRAPH, self._buffers.shape_of(largest), largest, options)

    @contextmanager
    def _passing(self, graph: int) -> Iterator[None]:
        if not self._is_to_capture(graph):
            with self._gate.together():
                yield
            return
        with self._gate.alone():
            yield
        self._captured().add(graph)

    def _is_to_capture(self, graph: int) -> bool:
        return graph != NO_GRAPH and graph not in self._captured()

    def _captured(self) -> set[int]:
        """The graphs that this thread has captured."""
        captured: set[int] = self._of_thread.__dict__.setdefault("captured", set())
        return captured

    def _most_rows(self) -> int:
        """Of all runs of this thread."""
        rows: int = self._of_thread.__dict__.get("most_rows", 0)
        return rows

    def _options(self, graph: int, given: RunOptions) -> RunOptions:
        """Of a graph its own: a capture that is ended before its time would never be whole."""
        if self._graphs is None or graph == NO_GRAPH:
            return given
        if graph not in self._graph_options:
            self._graph_options[graph] = graph_options(self._graphs.options(), graph)
        return self._graph_options[graph]


def graph_options(options: RunOptions, graph: int) -> RunOptions:
    """The options of a run that captures or replays the graph of that number; NO_GRAPH: neither."""
    options.add_run_config_entry("gpu_graph_id", str(graph))
    return options
