"""An ONNX file, adopted as it is. What it is compared with is itself, before it was named anew."""

from collections.abc import Sequence
from pathlib import Path

import onnx

from exporter import onnx_file
from exporter.arrays import Array, Rows
from exporter.conversion import Findings, Request
from exporter.errors import SourceError
from exporter.graph import graph_inputs
from exporter.run_graph import run_graph
from exporter.sources.inputs import TEXT, Input
from exporter.sources.source import Source
from exporter.sources.ways import Naming, Remedy, Way

_UNFROZEN = "the batch, which the file has as 1, made to vary"
_BY_NATURE = "a batch of 1 by nature: say --one-row"


def from_file(path: Path, request: Request, samples: Rows) -> Source:  # noqa: ARG001 - a framework's module
    """The samples and the described outputs name the file's inputs and outputs, in its order."""
    model = onnx_file.load(path)
    original = bytes(model.SerializeToString())
    given = [value.name for value in graph_inputs(model.graph)]
    inputs = tuple(_input(value) for value in graph_inputs(model.graph))
    answered = [value.name for value in model.graph.output]
    is_frozen = any(_takes_one_row(value) for value in graph_inputs(model.graph))
    unfreeze = is_frozen and not request.one_row_at_a_time

    def answer(rows: Sequence[Array]) -> list[Array]:
        answers = run_graph(original, dict(zip(given, rows, strict=True)), batch_rows=1 if is_frozen else 256)
        return [answers[name] for name in answered]

    def to_graph(naming: Naming) -> bytes:
        return onnx_file.convert(
            original,
            naming.input_names,
            naming.outputs,
            one_row_at_a_time=request.one_row_at_a_time,
            unfreeze_batch=unfreeze,
        )

    return Source(
        framework="onnx",
        distribution="onnx",
        converter="",
        inputs=inputs,
        answer=answer,
        ways=(Way(to_graph, (Remedy(_UNFROZEN),) if unfreeze else ()),),
        outputs=tuple(answered),
        findings=Findings(hazards=(_BY_NATURE,) if unfreeze else ()),
    )


def from_object(model: object, request: Request, samples: Rows) -> Source:  # noqa: ARG001 - a framework's module
    raise SourceError("an ONNX model is given as a file")


def _takes_one_row(value: onnx.ValueInfoProto) -> bool:
    dimensions = value.type.tensor_type.shape.dim
    return bool(dimensions) and dimensions[0].dim_value == 1


def _input(value: onnx.ValueInfoProto) -> Input:
    tensor = value.type.tensor_type
    sizes = list(tensor.shape.dim)[1:]
    shape = tuple(size.dim_value if size.HasField("dim_value") else f"axis_{i}" for i, size in enumerate(sizes, 1))
    is_text = tensor.elem_type == onnx.TensorProto.STRING
    return Input(value.name, TEXT if is_text else onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name, shape)
