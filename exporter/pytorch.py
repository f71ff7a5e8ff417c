"""PyTorch -> ONNX.

The dynamo exporter freezes the length of a recurrent network without a word from the second export in a process on,
and an example of one row freezes the batch. So the tracing exporter (`dynamo=False`) is used, which keeps every
dimension that is named dynamic, with an example of at least two rows. Tracing records one path through Python code: a
model that branches on its values is not for it, and a layer of attention is frozen at the length of the example. The
comparison with the source shows both; for the latter there is `convert_exported`.
"""

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch

from exporter.arrays import Array
from exporter.errors import SourceError
from exporter.graph import BATCH, OPSET, finish

FRAMEWORK, FRAMEWORK_DISTRIBUTION, CONVERTER = "pytorch", "torch", "torch"


def convert(
    model: torch.nn.Module,
    example: Mapping[str, Array],
    outputs: Sequence[str],
    dynamic: Mapping[str, Mapping[int, str]] | None = None,
    opset: int = OPSET,
) -> bytes:
    """The graph of `model`, called with the arrays of `example` (input -> [N >= 2, ...]) in their order.

    `dynamic` names further dimensions that vary, input or output -> {axis: name}; axis 0 is the batch throughout.
    Raises SourceError for an example of one row, GraphError where a dimension was frozen.
    """
    if any(values.shape[0] < 2 for values in example.values()):
        raise SourceError("the example needs at least two rows: one row freezes the batch")
    axes = {name: {0: BATCH, **(dynamic or {}).get(name, {})} for name in (*example, *outputs)}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        path = Path(folder) / "traced.onnx"
        # The tracing exporter is deprecated in favour of the one that freezes lengths: known, and chosen.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\.onnx.*")
        # torch's own layers ask for shapes; what the user's code asks for is still told.
        warnings.filterwarnings("ignore", category=Warning, module=r"torch\.nn.*")
        torch.onnx.export(
            model.eval(),
            tuple(torch.from_numpy(np.ascontiguousarray(values)) for values in example.values()),
            path,
            input_names=list(example),
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=opset,
            dynamo=False,
        )
        traced = onnx.load(path)
    return finish(traced, list(example), outputs)


def convert_exported(
    model: torch.nn.Module,
    example: Mapping[str, Array],
    outputs: Sequence[str],
    dynamic: Mapping[str, Mapping[int, str]],
    opset: int = OPSET,
) -> bytes:
    """As `convert`, by torch.export, which knows sizes as symbols: for the first export in a process alone."""
    open_axes = tuple(dict.fromkeys([0, *dynamic.get(name, {})], torch.export.Dim.DYNAMIC) for name in example)
    arguments = tuple(torch.from_numpy(np.ascontiguousarray(values)) for values in example.values())
    program = torch.export.export(model.eval(), arguments, dynamic_shapes=open_axes)
    return convert_program(program, list(example), outputs, opset)


def predict(model: torch.nn.Module, rows: Sequence[Array], batch_rows: int = 256) -> list[Array]:
    """The model's own outputs for all rows, in the order of its arguments: [N, ...] each."""
    batches: list[list[Array]] = []
    with torch.inference_mode():
        for start in range(0, len(rows[0]), batch_rows):
            tensors = [torch.from_numpy(np.ascontiguousarray(values[start : start + batch_rows])) for values in rows]
            answers = model.eval()(*tensors)
            batches.append([answer.numpy() for answer in (answers if isinstance(answers, tuple) else (answers,))])
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def parameter_count(model: torch.nn.Module) -> int:
    """The model's trainable numbers."""
    return sum(weights.numel() for weights in model.parameters() if weights.requires_grad)


def convert_program(
    program: torch.export.ExportedProgram, inputs: Sequence[str], outputs: Sequence[str], opset: int = OPSET
) -> bytes:
    """The graph of an exported program: what was frozen when it was exported stays so."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "program.onnx"
        converted = torch.onnx.export(program, dynamo=True, opset_version=opset, verbose=False)
        if converted is None:
            raise SourceError("PyTorch made no graph of the exported program")
        converted.save(path)
        return finish(onnx.load(path), inputs, outputs)
