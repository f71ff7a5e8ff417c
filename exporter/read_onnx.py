"""An ONNX file of the user's own. What it is compared with is itself, before it was named anew."""

from pathlib import Path

from exporter import onnx_file
from exporter.errors import GraphError, SourceError
from exporter.own_model import Converted, Order
from exporter.signature import graph_inputs
from exporter.verify import run_graph


def from_file(path: Path, order: Order) -> Converted:
    """The samples and the described outputs name the file's inputs and outputs, in its order."""
    model = onnx_file.load(path)
    original = model.SerializeToString()
    given = [value.name for value in graph_inputs(model.graph)]
    if len(given) != len(order.samples) or len(model.graph.output) != len(order.output_names):
        raise GraphError(
            f"{path.name} has inputs {', '.join(given)} and outputs {', '.join(o.name for o in model.graph.output)}:"
            f" the samples have {', '.join(order.samples)}, the description {', '.join(order.output_names)}"
        )
    rows = dict(zip(given, order.samples.values(), strict=True))
    answers = run_graph(original, rows, batch_rows=1 if order.one_row_at_a_time else 256)
    graph = onnx_file.convert(
        original, list(order.samples), order.output_names, one_row_at_a_time=order.one_row_at_a_time
    )
    reference = {name: answers[old.name] for name, old in zip(order.output_names, model.graph.output, strict=True)}
    return Converted(graph, reference, framework="onnx", distribution="onnx", converter="")


def from_object(model: object, order: Order) -> Converted:  # noqa: ARG001 - the shape of a reader
    raise SourceError("an ONNX model is given as a file")
