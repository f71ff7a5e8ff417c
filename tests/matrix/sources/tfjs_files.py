"""A TensorFlow.js graph model: model.json and one file of weights, as its own converter lays them out.

The JSON is TensorFlow's GraphDef in protobuf's JSON mapping with the constants taken out; they stand one after the
other in the file of weights, in the order of the manifest.
"""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.framework import graph_pb2
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

_WEIGHTS = "group1-shard1of1.bin"


def save(folder: Path, function: tf.types.experimental.ConcreteFunction, given: str, output: str) -> None:
    """Write a function of one tensor and one answer; the signature calls them `given` and `output`."""
    folder.mkdir()
    frozen = convert_variables_to_constants_v2(function)
    graph: graph_pb2.GraphDef = frozen.graph.as_graph_def()
    weights = {node.name: tf.make_ndarray(node.attr["value"].tensor) for node in graph.node if node.op == "Const"}
    for node in graph.node:
        if node.op == "Const":
            node.attr["value"].tensor.ClearField("tensor_content")
    del graph.library.function[:]
    manifest = [
        {"name": name, "shape": list(array.shape), "dtype": str(array.dtype)} for name, array in weights.items()
    ]
    model = {
        "format": "graph-model",
        "generatedBy": tf.__version__,
        "signature": {
            "inputs": {given: {"name": frozen.inputs[0].name}},
            "outputs": {output: {"name": frozen.outputs[0].name}},
        },
        "modelTopology": json_format.MessageToDict(graph),
        "weightsManifest": [{"paths": [_WEIGHTS], "weights": manifest}],
    }
    (folder / "model.json").write_text(json.dumps(model))
    (folder / _WEIGHTS).write_bytes(b"".join(np.ascontiguousarray(array).tobytes() for array in weights.values()))
