"""Runs on a card through buffers that stay where they are: what is copied to the card, and back, is copied once.

For each shape there is one IOBinding, made when the shape is first seen: an input is written into page-locked host
memory and from there into its buffer on the card; outputs are left on the card and fetched together at the end. A
buffer is the session's own, so that it counts towards the session's memory limit. Outputs whose shape does not follow
from the number of rows are allocated by each run. Few shapes are kept: the least recently used goes.

With CUDA graphs a run of a preferred number of rows is captured the first time, once a thread as ONNX Runtime keeps
them, and replayed from then on, on the same buffers. Other shapes run as without graphs. A replay cannot be ended
before its time.

Sessions on the CPU have buffers of another kind (`host_runs.py`).

This module deliberately does not tell why a run failed, as ONNX Runtime does not tell it of a bound one; the session
asks again without bindings.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from services.runtime.capture_gate import CaptureGate
from services.runtime.card import Staging
from services.runtime.front import Array

MAX_SHAPES = 16
NO_GRAPH = -1

Shape: TypeAlias = tuple[tuple[str, str, tuple[int, ...]], ...]
MakeStaging: TypeAlias = Callable[[Sequence[int], np.dtype[np.generic]], Staging]


class RunOptions(Protocol):
    """As much as is used of onnxruntime.RunOptions."""

    def add_run_config_entry(self, key: str, value: str, /) -> None: ...


class OrtValue(Protocol):
    """As much as is used of onnxruntime.OrtValue."""

    def update_inplace(self, data: Array, /) -> None: ...


class Binding(Protocol):
    """As much as is used of onnxruntime.IOBinding."""

    def bind_ortvalue_input(self, name: str, ortvalue: OrtValue, /) -> None: ...
    def bind_ortvalue_output(self, name: str, ortvalue: OrtValue, /) -> None: ...
    def bind_output(self, name: str, device_type: str, device_id: int, /) -> None: ...
    def copy_outputs_to_cpu(self) -> list[Array]: ...


class OrtSession(Protocol):
    """As much as is used of onnxruntime.InferenceSession."""

    def io_binding(self) -> Binding: ...
    def create_ortvalue_from_shape_and_type(
        self, shape: Sequence[int], element_type: np.dtype[np.generic], device_type: str, device_id: int, /
    ) -> OrtValue: ...
    def run_with_iobinding(self, iobinding: Binding, run_options: RunOptions, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a buffer is, as ONNX Runtime names it: cuda and the card's number, or cpu and 0."""

    device: str
    index: int = 0


HOST = Place("cpu")


@dataclass(frozen=True, slots=True)
class BoundInput:
    """An input of the graph, and where the graph reads it."""

    name: str
    place: Place


@dataclass(frozen=True, slots=True)
class BoundOutput:
    """An output of the graph, and where it comes. `row` is one row's shape, None where only a run can tell."""

    name: str
    place: Place
    dtype: np.dtype[np.generic]
    row: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Graphs:
    """For which numbers of rows a graph is captured; `options` makes those that a run of it has."""

    rows: tuple[int, ...]
    options: Callable[[], RunOptions]


@dataclass(frozen=True, slots=True)
class _Bound:
    """What is bound for one shape. `unsized` are the outputs that each run allocates."""

    binding: Binding
    inputs: Mapping[str, tuple[Staging, OrtValue]]
    unsized: tuple[BoundOutput, ...]

    def fill(self, inputs: Mapping[str, Array]) -> None:
        for name, array in inputs.items():
            staging, value = self.inputs[name]
            np.copyto(staging.array, array)
            value.update_inplace(staging.array)
        for output in self.unsized:  # or ONNX Runtime would want the last run's shape again
            self.binding.bind_output(output.name, output.place.device, output.place.index)


class DeviceRuns:
    """Of one session, on its own buffers. Threads take turns."""

    def __init__(
        self,
        session: OrtSession,
        inputs: Sequence[BoundInput],
        outputs: Sequence[BoundOutput],
        *,
        make_staging: MakeStaging,
        gate: CaptureGate,
        graphs: Graphs | None = None,
    ) -> None:
        self._session = session
        self._inputs = inputs
        self._outputs = outputs
        self._make_staging = make_staging
        self._gate = gate
        self._graphs = graphs
        self._shapes: OrderedDict[Shape, _Bound] = OrderedDict()
        self._unbindable: set[Shape] = set()
        self._of_graph: dict[int, Shape] = {}
        self._graph_options: dict[int, RunOptions] = {}
        self._of_thread = threading.local()
        self._lock = threading.Lock()

    def run(self, inputs: Mapping[str, Array], options: RunOptions) -> list[Array] | None:
        """The outputs in the graph's order; None where this shape was given up. Raises what ONNX Runtime raises."""
        shape = self._shape_of(inputs)
        if shape in self._unbindable:
            return None
        with self._lock:
            graph = self._graph(shape)
            with self._passing(graph):
                bound = self._bound(shape)
                bound.fill(inputs)
                self._session.run_with_iobinding(bound.binding, self._options(graph, options))
                return bound.binding.copy_outputs_to_cpu()

    def give_up(self, inputs: Mapping[str, Array]) -> None:
        """Bind this shape no more: it cannot be run so."""
        shape = self._shape_of(inputs)
        with self._lock:
            self._unbindable.add(shape)
            self._shapes.pop(shape, None)

    def _shape_of(self, inputs: Mapping[str, Array]) -> Shape:
        """In the graph's order, whatever the order of `inputs`."""
        arrays = [(bound.name, inputs[bound.name]) for bound in self._inputs]
        return tuple((name, array.dtype.str, array.shape) for name, array in arrays)

    def _graph(self, shape: Shape) -> int:
        """The number of the shape's CUDA graph, which is its rows. A graph is of one shape: ONNX Runtime replays it by
        its number, on the buffers that it was captured with, and looks at no other.
        """
        rows = _rows(shape)
        if self._graphs is None or rows not in self._graphs.rows:
            return NO_GRAPH
        return rows if self._of_graph.setdefault(rows, shape) == shape else NO_GRAPH

    @contextmanager
    def _passing(self, graph: int) -> Iterator[None]:
        captured = self._captured()
        if graph == NO_GRAPH or graph in captured:
            with self._gate.together():
                yield
            return
        with self._gate.alone():
            yield
        captured.add(graph)

    def _captured(self) -> set[int]:
        """The graphs that this thread has captured."""
        captured: set[int] = self._of_thread.__dict__.setdefault("captured", set())
        return captured

    def _options(self, graph: int, given: RunOptions) -> RunOptions:
        """Of a graph its own: a capture that is ended before its time would never be whole."""
        if self._graphs is None or graph == NO_GRAPH:
            return given
        if graph not in self._graph_options:
            self._graph_options[graph] = graph_options(self._graphs.options(), graph)
        return self._graph_options[graph]

    def _bound(self, shape: Shape) -> _Bound:
        if shape not in self._shapes:
            self._make_room()
            self._shapes[shape] = self._bind(shape)
        self._shapes.move_to_end(shape)
        return self._shapes[shape]

    def _make_room(self) -> None:
        """A graph's buffers must stay."""
        droppable = [shape for shape in self._shapes if self._of_graph.get(_rows(shape)) != shape]
        if len(droppable) >= MAX_SHAPES:
            del self._shapes[droppable[0]]

    def _bind(self, shape: Shape) -> _Bound:
        rows, binding = _rows(shape), self._session.io_binding()
        inputs: dict[str, tuple[Staging, OrtValue]] = {}
        places = {bound.name: bound.place for bound in self._inputs}
        for name, dtype, dimensions in shape:
            value = self._buffer(dimensions, np.dtype(dtype), places[name])
            binding.bind_ortvalue_input(name, value)
            inputs[name] = self._make_staging(dimensions, np.dtype(dtype)), value
        for output in self._outputs:
            if output.row is None:
                binding.bind_output(output.name, output.place.device, output.place.index)
            else:
                binding.bind_ortvalue_output(output.name, self._buffer((rows, *output.row), output.dtype, output.place))
        return _Bound(binding, inputs, tuple(output for output in self._outputs if output.row is None))

    def _buffer(self, shape: Sequence[int], dtype: np.dtype[np.generic], place: Place) -> OrtValue:
        return self._session.create_ortvalue_from_shape_and_type(shape, dtype, place.device, place.index)


def graph_options(options: RunOptions, graph: int) -> RunOptions:
    """The options of a run that captures or replays the graph of that number; NO_GRAPH: neither."""
    options.add_run_config_entry("gpu_graph_id", str(graph))
    return options


def _rows(shape: Shape) -> int:
    _, _, dimensions = shape[0]
    return dimensions[0]
