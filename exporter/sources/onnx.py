"""An ONNX file, adopted as it is. What it is compared with is itself, before it was named anew."""

from collections.abc import Sequence
from pathlib import Path

import onnx

from exporter import onnx_file
from exporter.arrays import Array, Rows
from exporter.conversion import Request
from exporter.errors import SourceError
from exporter.graph import graph_inputs
from exporter.run_graph import run_graph
from exporter.sources.inputs import TEXT, Input
from exporter.sources.source import Naming, Source, Way


def from_file(path: Path, request: Request, samples: Rows) -> Source:  # noqa: ARG001 - a framework's module
    """The samples and the described outputs name the file's inputs and outputs, in its order."""
    model = onnx_file.load(path)
    original = bytes(model.SerializeToString())
    given = [value.name for value in graph_inputs(model.graph)]
    inputs = tuple(_input(value) for value in graph_inputs(model.graph))
    answered = [value.name for value in model.graph.output]

    def answer(rows: Sequence[Array]) -> list[Array]:
        batch_rows = 1 if request.one_row_at_a_time else 256
        answers = run_graph(original, dict(zip(given, rows, strict=True)), batch_rows)
        return [answers[name] for name in answered]

    def to_graph(naming: Naming) -> bytes:
        return onnx_file.convert(
            original, naming.input_names, naming.outputs, one_row_at_a_time=request.one_row_at_a_time
        )

    return Source(
        framework="onnx",
        distribution="onnx",
        converter="",
        inputs=inputs,
        answer=answer,
        ways=(Way(to_graph),),
        outputs=tuple(answered),
    )


def from_object(model: object, request: Request, samples: Rows) -> Source:  # noqa: ARG001 - a framework's module
    raise SourceError("an ONNX model is given as a file")


def _input(value: onnx.ValueInfoProto) -> Input:
    tensor = value.type.tensor_type
    sizes = list(tensor.shape.dim)[1:]
    shape = tuple(size.dim_value if size.HasField("dim_value") else f"axis_{i}" for i, size in enumerate(sizes, 1))
    is_text = tensor.elem_type == onnx.TensorProto.STRING
    return Input(value.name, TEXT if is_text else onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name, shape)
