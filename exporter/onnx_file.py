"""A graph that is ONNX already: named, its batch made dynamic, brought to one file.

Files in the wild carry weights beside them, list them as inputs, and have a batch of 1 that is only a habit of whoever
exported it. Where the graph runs with other batches the habit is dropped; the comparison proves it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from exporter.errors import SourceError
from exporter.graph import BATCH, finish, graph_inputs, parse


def load(path: Path) -> onnx.ModelProto:
    """The model of a file with its external data brought in. Raises SourceError where the file is none."""
    try:
        return onnx.load(path)
    except onnx.checker.ValidationError as error:
        raise SourceError(
            f"{path.name} cannot be read as ONNX: its weights lie in a file that is missing or outside its folder"
        ) from error
    except (OSError, DecodeError) as error:
        raise SourceError(f"{path.name} cannot be read as ONNX") from error


def convert(
    graph: bytes,
    inputs: Sequence[str],
    outputs: Sequence[str | None],
    *,
    one_row_at_a_time: bool = False,
    unfreeze_batch: bool = False,
    dimensions: Mapping[str, Sequence[str | int]] | None = None,
) -> bytes:
    """The same graph, its inputs and outputs named in the graph's order.

    `unfreeze_batch` declares the first dimension dynamic where the file says 1: compare the outcome in several batch
    sizes. `one_row_at_a_time` keeps 1 as it is. `dimensions` states shapes anew, by the new names.
    """
    model = parse(graph)
    if unfreeze_batch:
        for value in [*graph_inputs(model.graph), *model.graph.output]:
            if dims := value.type.tensor_type.shape.dim:
                dims[0].dim_param = BATCH
        del model.graph.value_info[:]  # inferred for the batch that was frozen
    return finish(model, inputs, outputs, one_row_at_a_time=one_row_at_a_time, dimensions=dimensions)
