"""One form for the graphs of all converters: tensors with names, a batch that varies, no notes.

Converters leave `unk__36`, `Identity:0` and `output_0`, dimensions frozen at the size of the example, and notes with
the paths of the machine that converted. `finish` makes one form of all: inputs and outputs named by position, the first
dimension of each dynamic and called `batch`, notes gone, the result checked.

It deliberately changes nothing that is computed, and knows nothing of manifests: the conversion process, whose protobuf
may be another one, imports it.
"""

import re
from collections.abc import Mapping, Sequence

import onnx
from google.protobuf.message import DecodeError

from exporter.errors import GraphError
from exporter.foreign import told
from exporter.graph_edits import leave_out, rename, strip_notes

# What all three converters can write: tf2onnx 1.17 knows no later one.
OPSET = 18
OLDEST_OPSET = 9
BATCH = "batch"
_LEARNED_ATTRIBUTES = {"nodes_values", "class_weights", "target_weights", "coefficients", "intercepts"}
_STANDARD_DOMAINS = {"", "ai.onnx", "ai.onnx.ml"}

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]*")
_UNKNOWN_OPERATOR = re.compile(r"No Op registered for (\w+)")
_CONVERTER_NAME = re.compile(r"(unk__|Identity|output_?\d+$|keras_tensor|args_\d+|StatefulPartitionedCall)")


def parse(graph: bytes) -> onnx.ModelProto:
    """The bytes of an ONNX file. Raises GraphError where they are none."""
    try:
        model = onnx.load_model_from_string(graph)
    except DecodeError as error:
        raise GraphError("the bytes are no ONNX file") from error
    if not model.graph.node:
        raise GraphError("the ONNX file has a graph without nodes")
    return model


def finish(
    model: onnx.ModelProto,
    inputs: Sequence[str],
    outputs: Sequence[str | None],
    *,
    one_row_at_a_time: bool = False,
    dimensions: Mapping[str, Sequence[str | int]] | None = None,
) -> bytes:
    """Name the inputs and outputs, in the graph's own order, name the batch dimension, check, and serialise.

    An output named None is left out. `dimensions` states all dimensions of an input or output anew, by its new name:
    a string varies, a number is fixed.
    Raises GraphError where names do not fit, the batch is frozen, or the checker objects. `one_row_at_a_time` accepts a
    graph whose batch is 1 by nature.
    """
    finished = onnx.ModelProto()
    finished.CopyFrom(model)
    graph = finished.graph
    leave_out(graph, outputs)
    named = _positional(graph_inputs(graph), inputs, "input")
    rename(graph, named | _positional(graph.output, [name for name in outputs if name is not None], "output"))
    for value in [*graph_inputs(graph), *graph.output]:
        if dimensions is not None and value.name in dimensions:
            _set_dimensions(value, dimensions[value.name])
        if not one_row_at_a_time:
            _name_batch(value)
    _name_dimensions(graph)
    strip_notes(graph)
    check(finished)
    return bytes(finished.SerializeToString())


def graph_name(name: str) -> str:
    """A column's name as a tensor of the graph may have it."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
    return plain if plain[:1].isalpha() else f"c{plain}"


def check(model: onnx.ModelProto) -> None:
    """Raises GraphError for a graph that the checker refuses, an opset too old, or names that converters make up."""
    opset = opset_of(model)
    if opset < OLDEST_OPSET:
        raise GraphError(f"the graph has opset {opset}; at least {OLDEST_OPSET} is needed: convert it anew")
    for value in [*graph_inputs(model.graph), *model.graph.output]:
        if not _NAME.fullmatch(value.name) or _CONVERTER_NAME.match(value.name):
            raise GraphError(f"'{value.name}' is a name that a converter made up: name the inputs and outputs")
    # Shape inference crashes the process where it meets the output of an operator that is not ONNX's own.
    only_standard = all(entry.domain in _STANDARD_DOMAINS for entry in model.opset_import)
    try:
        onnx.checker.check_model(model, full_check=only_standard)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise GraphError(_invalid(error)) from error


def _invalid(error: Exception) -> str:
    if found := _UNKNOWN_OPERATOR.search(str(error)):
        return (
            f"the source uses {found[1]}, which ONNX does not have: leave that step out of the model, and do it before"
            " the model is asked"
        )
    return f"the graph is not valid ONNX: {told(error)}"


def graph_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """The inputs that a caller gives: older files list their weights among the inputs too."""
    weights = {tensor.name for tensor in graph.initializer} | {
        tensor.values.name for tensor in graph.sparse_initializer
    }
    return [value for value in graph.input if value.name not in weights]


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the default operator set."""
    return max((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), default=0)


def parameter_count(graph: bytes) -> int:
    """The floating-point weights, and the thresholds, leaves and coefficients of scikit-learn's operators.

    A framework's own count of what was trained is better where there is one.
    """
    floating = {onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}
    total = 0
    for tensor in parse(graph).graph.initializer:
        count = 1
        for dimension in tensor.dims:
            count *= dimension
        total += count if tensor.data_type in floating else 0
    learned = (attribute for node in parse(graph).graph.node for attribute in node.attribute)
    return total + sum(len(attribute.floats) for attribute in learned if attribute.name in _LEARNED_ATTRIBUTES)


def _name_dimensions(graph: onnx.GraphProto) -> None:
    """A size with a made-up name is called after the first tensor that has it, throughout the graph."""
    names: dict[str, str] = {}
    for value in [*graph_inputs(graph), *graph.output, *graph.value_info]:
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            if _CONVERTER_NAME.match(dimension.dim_param):
                dimension.dim_param = names.setdefault(dimension.dim_param, f"{value.name}_axis_{axis}")


def _positional(values: Sequence[onnx.ValueInfoProto], names: Sequence[str], kind: str) -> dict[str, str]:
    present = [value.name for value in values]
    if len(present) != len(names):
        raise GraphError(
            f"the graph has {len(present)} {kind}(s) ({', '.join(present)}), {len(names)} name(s) were given"
        )
    return dict(zip(present, names, strict=True))


def _set_dimensions(value: onnx.ValueInfoProto, dimensions: Sequence[str | int]) -> None:
    shape = value.type.tensor_type.shape
    shape.ClearField("dim")
    for dimension in dimensions:
        if isinstance(dimension, int):
            shape.dim.add().dim_value = dimension
        else:
            shape.dim.add().dim_param = dimension


def _name_batch(value: onnx.ValueInfoProto) -> None:
    dimensions = value.type.tensor_type.shape.dim
    if not dimensions:
        raise GraphError(f"'{value.name}' has no batch dimension: its shape is empty or unknown")
    if dimensions[0].HasField("dim_value"):
        raise GraphError(
            f"'{value.name}' is frozen at a batch of {dimensions[0].dim_value}: export it with a batch that varies"
        )
    dimensions[0].dim_param = BATCH
