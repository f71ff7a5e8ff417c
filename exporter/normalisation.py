"""Numbers brought to the scale that a network was trained on, by the graph itself: (given * scale - mean) / std.

Where the service does it, every caller of the tensors has to do it again, and one who forgets gets answers that look
right. So it can be part of the graph, stated in the manifest, and then nobody does it a second time. The formula is
that of `ImagePreprocessing`; the reference is computed in float64.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from exporter.arrays import Array
from exporter.errors import SourceError
from exporter.graph import check, graph_inputs, parse
from exporter.graph_edits import rename

LAST_AXIS = -1


@dataclass(frozen=True, slots=True)
class Normalisation:
    """One number for all, or one a place along `axis` of the tensor: channels of an image, columns of a table."""

    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    axis: int = LAST_AXIS

    def check(self, name: str, shape: tuple[int | str, ...]) -> None:
        """Raises SourceError where the numbers do not fit an input whose rows have `shape`, or scale nothing."""
        numbers = [self.scale, *self.mean, *self.std]
        if not all(map(math.isfinite, numbers)) or 0 in (self.scale, *self.std):
            raise SourceError("--scale, --mean and --std are finite numbers, and nothing is divided or multiplied by 0")
        size = shape[self.axis if self.axis == LAST_AXIS else self.axis - 1] if shape else 1
        for flag, given in (("--mean", self.mean), ("--std", self.std)):
            if len(given) not in {1, size}:
                raise SourceError(f"{flag} has {len(given)} numbers, '{name}' needs one or {size}")

    def applied(self, rows: Array) -> Array:
        """In float64, rounded once to the rows' own type."""
        mean, std = (self._along(np.array(given, np.float64), rows.ndim) for given in (self.mean, self.std))
        return np.asarray((rows.astype(np.float64) * self.scale - mean) / std).astype(rows.dtype)

    def typical(self) -> tuple[tuple[float, float], ...]:
        """Centre and spread of what is given, a column where the last axis has them, else one for all."""
        means, stds = np.broadcast_arrays(np.array(self.mean) / self.scale, np.abs(np.array(self.std) / self.scale))
        if self.axis != LAST_AXIS:
            means, stds = means.mean(keepdims=True), stds.mean(keepdims=True)
        return tuple((float(mean), float(std)) for mean, std in zip(means, stds, strict=True))

    def put_into(self, graph: bytes) -> bytes:
        """The graph of one input, which takes now what is not scaled yet."""
        model = parse(graph)
        (given,) = graph_inputs(model.graph)
        name, inner, rank = given.name, f"{given.name}_normalised", len(given.type.tensor_type.shape.dim)
        dtype = helper.tensor_dtype_to_np_dtype(given.type.tensor_type.elem_type)
        rename(model.graph, {name: inner})
        given.name = name
        constants = {key: value.astype(dtype) for key, value in self._constants(inner, rank).items()}
        model.graph.initializer.extend(numpy_helper.from_array(value, key) for key, value in constants.items())
        for position, node in enumerate(self._nodes(name, inner)):
            model.graph.node.insert(position, node)
        check(model)
        return bytes(model.SerializeToString())

    def _along(self, numbers: NDArray[np.float64], rank: int) -> NDArray[np.float64]:
        """[C] as it broadcasts over a tensor of `rank` along the axis."""
        return numbers if self.axis == LAST_AXIS else numbers.reshape(-1, *(1,) * (rank - 1 - self.axis))

    def _constants(self, inner: str, rank: int) -> Mapping[str, NDArray[np.float64]]:
        mean, std = (self._along(np.array(given, np.float64), rank) for given in (self.mean, self.std))
        return {f"{inner}/scale": np.array(self.scale), f"{inner}/mean": mean, f"{inner}/std": std}

    def _nodes(self, name: str, inner: str) -> Iterator[onnx.NodeProto]:
        yield helper.make_node("Mul", [name, f"{inner}/scale"], [f"{inner}/scaled"])
        yield helper.make_node("Sub", [f"{inner}/scaled", f"{inner}/mean"], [f"{inner}/centred"])
        yield helper.make_node("Div", [f"{inner}/centred", f"{inner}/std"], [inner])
