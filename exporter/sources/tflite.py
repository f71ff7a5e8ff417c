"""A TFLite model, float or quantised, by way of tf2onnx.

tf2onnx ends well with an invalid model where it meets an operator that it does not know: what it wrote is looked
through for operators that ONNX does not have. A batch of 1 is a habit of the TFLite converter: it is declared open, and
the comparison in several batch sizes shows whether it was only a habit.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
import tf2onnx

from exporter import onnx_file
from exporter.arrays import Array, Rows
from exporter.conversion import Findings, Request
from exporter.errors import SourceError
from exporter.foreign import told
from exporter.graph import OPSET
from exporter.sources.inputs import TEXT, Input
from exporter.sources.source import Source
from exporter.sources.ways import Naming, Remedy, Way

_OPENED = "the batch of 1 in the file was declared open"
_PORT = re.compile(r"(^serving_default_|:0$)")


def from_file(path: Path, request: Request, samples: Rows) -> Source:  # noqa: ARG001 - a framework's module
    try:
        interpreter = tf.lite.Interpreter(str(path))
        inputs = [_input(details) for details in interpreter.get_input_details()]
    except (ValueError, RuntimeError) as error:
        raise SourceError(f"{path.name} cannot be loaded by TFLite: {told(error)}") from error
    names = [details["name"] for details in interpreter.get_input_details()]
    answered = [details["name"] for details in interpreter.get_output_details()]

    def to_graph(naming: Naming) -> bytes:
        proto, _ = tf2onnx.convert.from_tflite(str(path), names, answered, opset=OPSET)
        _refuse_unknown_operators(proto, path.name)
        return onnx_file.convert(
            bytes(proto.SerializeToString()),
            naming.input_names,
            naming.output_names,
            one_row_at_a_time=request.one_row_at_a_time,
            unfreeze_batch=not request.one_row_at_a_time,
        )

    frozen = any(details["shape_signature"][0] == 1 for details in interpreter.get_input_details())
    opened = frozen and not request.one_row_at_a_time
    return Source(
        framework="tflite",
        distribution="tensorflow-cpu",
        converter="tf2onnx",
        inputs=tuple(inputs),
        answer=lambda rows: _answers(interpreter, rows),
        ways=(Way(to_graph, (Remedy(_OPENED),) if opened else ()),),
        outputs=tuple(_PORT.sub("", name) for name in answered),
        findings=Findings(
            hazards=(
                "the batch is frozen inside the file: convert it to TFLite with a batch of None, or say --one-row",
            )
            if opened
            else (),
        ),
    )


def _input(details: dict[str, Any]) -> Input:
    sizes = list(details["shape_signature"])
    shape = tuple(int(size) if size != -1 else f"axis_{axis}" for axis, size in enumerate(sizes[1:], 1))
    dtype = np.dtype(details["dtype"])
    if sizes[:1] not in ([-1], [1]):
        raise SourceError(f"the TFLite model is frozen at a batch of {sizes[0] if sizes else 0}: convert it with None")
    return Input(_PORT.sub("", details["name"]), TEXT if dtype.kind in "SO" else str(dtype), shape)


def _answers(interpreter: tf.lite.Interpreter, rows: Sequence[Array]) -> list[Array]:
    """Row by row: a batch that is frozen in the file cannot be resized."""
    answered = [list(_of_one(interpreter, [values[row : row + 1] for values in rows])) for row in range(len(rows[0]))]
    return [np.concatenate(parts) for parts in zip(*answered, strict=True)]


def _of_one(interpreter: tf.lite.Interpreter, row: Sequence[Array]) -> Iterator[Array]:
    for details, values in zip(interpreter.get_input_details(), row, strict=True):
        interpreter.resize_tensor_input(details["index"], values.shape)
    interpreter.allocate_tensors()
    for details, values in zip(interpreter.get_input_details(), row, strict=True):
        interpreter.set_tensor(details["index"], values)
    interpreter.invoke()
    for details in interpreter.get_output_details():
        yield interpreter.get_tensor(details["index"]).copy()


def _refuse_unknown_operators(proto: onnx.ModelProto, name: str) -> None:
    unknown = sorted({node.op_type for node in proto.graph.node if not _is_known(node)})
    if unknown:
        raise SourceError(
            f"{name} uses {', '.join(unknown)}, which cannot be converted: build the model without,"
            " or export the TensorFlow model that it came from"
        )


def _is_known(node: onnx.NodeProto) -> bool:
    return node.domain not in {"", "ai.onnx"} or onnx.defs.has(node.op_type)
