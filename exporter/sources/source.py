"""A model as its framework has it: asked for its own answers, and for a graph.

Every framework's module makes one `Source`; what follows is the same for all of them: match the samples with the
inputs, let the source answer, let it be converted. The graph is not judged here: that is the parent's, in `verify.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TypeAlias

from exporter.arrays import Array, Rows
from exporter.conversion import Conversion, Provenance, Request, RowSet
from exporter.errors import SourceError

# The answers to rows, an array an output, in the model's order: [N, ...] each.
Answer: TypeAlias = Callable[[Sequence[Array]], list[Array]]


@dataclass(frozen=True, slots=True)
class Naming:
    """How the graph's tensors shall be called, in the model's order, and rows that it may be traced with."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    example: Rows
    dynamic_axes: Mapping[str, Mapping[int, str]]


@dataclass(frozen=True, slots=True)
class Source:
    """`distribution` and `converter` are named as pip names them; no converter: the model is ONNX already."""

    framework: str
    distribution: str
    converter: str
    # None where the model takes what it is given, like a function.
    input_count: int | None
    answer: Answer
    to_graph: Callable[[Naming], bytes]
    parameter_count: int | None = None

    def provenance(self) -> Provenance:
        converter_version = metadata.version(self.converter) if self.converter else ""
        return Provenance(
            self.framework,
            metadata.version(self.distribution),
            self.converter,
            converter_version,
            self.parameter_count,
        )


def convert(source: Source, request: Request, samples: Rows) -> Conversion:
    """Raises SourceError where samples or output names do not fit the model, and whatever the framework raises."""
    if source.input_count not in {None, len(samples)}:
        raise SourceError(
            f"the model has {source.input_count} input(s), the samples have {len(samples)}: {', '.join(samples)}"
        )
    answers = source.answer(list(samples.values()))
    if len(answers) != len(request.output_names):
        raise SourceError(
            f"the model has {len(answers)} output(s), {len(request.output_names)} were described:"
            f" {', '.join(request.output_names)}"
        )
    example = {name: values[:3] for name, values in samples.items()}
    naming = Naming(tuple(samples), request.output_names, example, request.dynamic_axes)
    row_set = RowSet("samples", samples, dict(zip(request.output_names, answers, strict=True)))
    return Conversion(source.to_graph(naming), (row_set,), source.provenance())
