"""A TF.js graph model: model.json and the files of weights beside it.

Both sides begin at the same place: the file's graph with its weights filled in. TensorFlow runs it as it stands, and is
the reference. tf2onnx gets it with the fused operations of TF.js opened into the ones that they stand for; its own
reader of such files does not run with numpy 2 and does not know them.
"""

import base64
import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
from google.protobuf import json_format

from exporter import tf_function
from exporter.arrays import Array, Rows
from exporter.conversion import Request
from exporter.errors import SourceError
from exporter.sources.inputs import Input
from exporter.sources.source import Source
from exporter.sources.tensorflow import answers_of, input_of, spec_of
from exporter.sources.tensorflow_code import refuse_graph
from exporter.sources.ways import Naming, Remedy, Way

# A model.json is whatever its writer made of it.
Json: TypeAlias = dict[str, Any]

_FUSED = {"_FusedConv2D": "Conv2D", "_FusedMatMul": "MatMul", "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative"}
_FUSED_ATTRIBUTES = ("fused_ops", "num_args", "epsilon", "leakyrelu_alpha", "TArgs", "num_host_args", "host_args")


@dataclass(frozen=True, slots=True)
class _File:
    """A parsed model.json: the graph with its weights, and its tensors by the names that callers use."""

    graph: tf.compat.v1.GraphDef
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


def from_file(path: Path, request: Request, samples: Rows) -> Source:  # noqa: ARG001 - a framework's module
    file = _read(path / "model.json" if path.is_dir() else path)
    refuse_graph(file.graph, request, path.name)
    opened, count = _opened(file.graph)
    original, converted = _function(file, file.graph), _function(file, opened)

    def graph_of(function: Callable[..., list[object]], naming: Naming) -> bytes:
        specs = [spec_of(entry) for entry in naming.inputs]
        return tf_function.convert(function, specs, naming.input_names, naming.outputs)

    remedy = Remedy(f"{count} fused operations of TF.js opened", lambda naming: graph_of(original, naming))

    return Source(
        framework="tfjs",
        distribution="tensorflow-cpu",
        converter="tf2onnx",
        inputs=tuple(_inputs(file, original)),
        answer=lambda rows: answers_of(original, rows),
        ways=(Way(lambda naming: graph_of(converted, naming), (remedy,) if count else ()),),
        outputs=tuple(file.outputs),
    )


def _read(path: Path) -> _File:
    raw = path.read_bytes()
    model = json.loads(gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw)
    topology = model["modelTopology"]
    if "node" not in topology:
        raise SourceError(
            f"{path.name} is a TF.js layers model: save the Keras model that it came from as .keras, or convert it to"
            " a graph model"
        )
    signature = model.get("signature") or model.get("userDefinedMetadata", {}).get("signature") or {}
    if not signature.get("inputs") or not signature.get("outputs"):
        raise SourceError(f"{path.name} does not name its inputs and outputs: convert it anew with a signature")
    return _File(
        graph=_with_weights(topology, _weights(path.parent, model["weightsManifest"])),
        inputs={name: tensor["name"] for name, tensor in signature["inputs"].items()},
        outputs={name: tensor["name"] for name, tensor in signature["outputs"].items()},
    )


def _weights(folder: Path, groups: Sequence[Json]) -> dict[str, Array]:
    weights: dict[str, Array] = {}
    for group in groups:
        try:
            data = b"".join(_beside(folder, name).read_bytes() for name in group["paths"])
        except OSError as error:
            raise SourceError(f"the weights {Path(error.filename).name} of the TF.js model cannot be read") from error
        position = 0
        for spec in group["weights"]:
            values, used = _weight(spec, data[position:])
            weights[spec["name"]] = values
            position += used
    return weights


def _beside(folder: Path, name: str) -> Path:
    if Path(name).name != name:
        raise SourceError(f"the TF.js model names weights outside its folder: '{name}'")
    return folder / name


def _weight(spec: Json, data: bytes) -> tuple[Array, int]:
    """One tensor from the head of `data`, de-quantised, and how many bytes it took."""
    shape, packing = tuple(spec["shape"]), spec.get("quantization")
    dtype = np.dtype(packing["dtype"] if packing else spec["dtype"])
    count = int(np.prod(shape))
    if len(data) < count * dtype.itemsize:
        raise SourceError("the weights of the TF.js model are cut short: copy them again")
    values = np.frombuffer(data, dtype, count).reshape(shape)
    if packing and "scale" in packing:
        # As JavaScript computes: in double, whole numbers by Math.round, which rounds halves up.
        values = np.asarray(values, np.float64) * packing["scale"] + packing["min"]
        if spec["dtype"] == "int32":
            values = np.floor(values + 0.5)
    return values.astype(spec["dtype"]), count * dtype.itemsize


def _with_weights(topology: Json, weights: Mapping[str, Array]) -> tf.compat.v1.GraphDef:
    for node in topology["node"]:  # older files write strings as lists of bytes
        for value in node.get("attr", {}).values():
            if isinstance(value.get("s"), list):
                value["s"] = base64.b64encode(bytes(value["s"])).decode()
    graph = json_format.ParseDict(topology, tf.compat.v1.GraphDef(), ignore_unknown_fields=True)
    for node in graph.node:
        if node.op == "Const" and node.name in weights:
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(weights[node.name]))
        if node.op in _FUSED and "TArgs" not in node.attr:  # TF.js knows an older form of these
            node.attr["TArgs"].list.type.extend([node.attr["T"].type] * (len(node.input) - 2))
    return graph


def _function(file: _File, graph: tf.compat.v1.GraphDef) -> tf.types.experimental.ConcreteFunction:
    wrapped = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph, name=""), [])
    feeds = [wrapped.graph.get_tensor_by_name(_port(tensor)) for tensor in file.inputs.values()]
    fetches = [wrapped.graph.get_tensor_by_name(_port(tensor)) for tensor in file.outputs.values()]
    return wrapped.prune(feeds, fetches)


def _inputs(file: _File, function: tf.types.experimental.ConcreteFunction) -> Iterator[Input]:
    for name, given in zip(file.inputs, function.inputs, strict=True):
        yield input_of(name, given)


def _port(tensor: str) -> str:
    return tensor if ":" in tensor else f"{tensor}:0"


def _opened(graph: tf.compat.v1.GraphDef) -> tuple[tf.compat.v1.GraphDef, int]:
    """The graph with every fused operation as the operations that it stands for, and how many there were."""
    opened, count = tf.compat.v1.GraphDef(), 0
    opened.CopyFrom(graph)
    del opened.node[:]
    for node in graph.node:
        if node.op in _FUSED:
            count += 1
            opened.node.extend(_parts(node))
        else:
            opened.node.append(node)
    return opened, count


def _parts(node: tf.compat.v1.NodeDef) -> Iterator[tf.compat.v1.NodeDef]:
    """Convolution or product, then bias, then activation; the last one has the name of the whole."""
    steps = [name.decode() for name in node.attr["fused_ops"].list.s]
    main = tf.compat.v1.NodeDef()
    main.CopyFrom(node)
    main.op, main.name = _FUSED[node.op], node.name if not steps else f"{node.name}/opened"
    del main.input[2:]
    for attribute in _FUSED_ATTRIBUTES:
        main.attr.pop(attribute, None)
    yield main
    extra, previous = list(node.input[2:]), main.name
    for position, step in enumerate(steps, 1):
        part = tf.compat.v1.NodeDef(op=step, name=node.name if position == len(steps) else f"{main.name}_{position}")
        part.input.append(previous)
        part.attr["T"].CopyFrom(node.attr["T"])
        if step in {"BiasAdd", "Prelu"}:
            part.input.append(extra.pop(0))
        if step == "LeakyRelu":
            part.attr["alpha"].CopyFrom(node.attr["leakyrelu_alpha"])
        previous = part.name
        yield part
