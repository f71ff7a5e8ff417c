"""The buffers of a session on a card, by shape: an IOBinding each, made when the shape is first seen.

An input is written into page-locked host memory and from there into its buffer on the card; outputs are left on the
card and fetched together at the end. A buffer is the session's own, so that it counts towards the session's memory
limit. Outputs whose shape does not follow from the number of rows are allocated by each run. Few shapes are kept: the
least recently used goes, but for those that a CUDA graph was captured with.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from services.runtime.card import Staging
from services.runtime.front import Array

MAX_SHAPES = 16

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
class Bound:
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


class DeviceBuffers:
    """Of one session, for one thread at a time. `kept` are the shapes whose buffers must stay."""

    def __init__(
        self,
        session: OrtSession,
        inputs: Sequence[BoundInput],
        outputs: Sequence[BoundOutput],
        make_staging: MakeStaging,
    ) -> None:
        self._session = session
        self._inputs = inputs
        self._outputs = outputs
        self._make_staging = make_staging
        self._shapes: OrderedDict[Shape, Bound] = OrderedDict()
        self.kept: set[Shape] = set()

    def shape_of(self, inputs: Mapping[str, Array]) -> Shape:
        """In the graph's order, whatever the order of `inputs`."""
        arrays = [(bound.name, inputs[bound.name]) for bound in self._inputs]
        return tuple((name, array.dtype.str, array.shape) for name, array in arrays)

    def of(self, shape: Shape) -> Bound:
        """Made where it is not there."""
        if shape not in self._shapes:
            loose = self._loose()
            if len(loose) >= MAX_SHAPES:
                del self._shapes[loose[0]]
            self._shapes[shape] = self._bind(shape)
        self._shapes.move_to_end(shape)
        return self._shapes[shape]

    def drop(self, shape: Shape) -> None:
        self._shapes.pop(shape, None)

    def drop_loose(self) -> None:
        """All that need not stay."""
        for shape in self._loose():
            del self._shapes[shape]

    def _loose(self) -> list[Shape]:
        return [shape for shape in self._shapes if shape not in self.kept]

    def _bind(self, shape: Shape) -> Bound:
        rows, binding = rows_of(shape), self._session.io_binding()
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
        return Bound(binding, inputs, tuple(output for output in self._outputs if output.row is None))

    def _buffer(self, shape: Sequence[int], dtype: np.dtype[np.generic], place: Place) -> OrtValue:
        return self._session.create_ortvalue_from_shape_and_type(shape, dtype, place.device, place.index)


def rows_of(shape: Shape) -> int:
    """How many rows a shape has."""
    _, _, dimensions = shape[0]
    return dimensions[0]
