"""TensorFlow's files: SavedModel, TF.js with fused operations, TFLite, .h5.

One process converts them all, since TensorFlow takes seconds to start; that each has a process of its own, through
`python -m exporter`, is `test_apart.py`'s and the matrix's concern.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from exporter.comparison import compare_all
from exporter.conversion import read_conversion
from exporter.errors import SourceError
from exporter.graph import parse
from exporter.mended import told_of
from exporter.parity import DEFAULT_TOLERANCE

MAKER = """
import json, os, keras, numpy as np, tensorflow as tf
from google.protobuf import json_format
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
keras.utils.set_random_seed(1)
layers = [keras.Input((8, 8, 1), name="image"), keras.layers.Conv2D(3, 3, activation="relu"), keras.layers.Flatten()]
model = keras.Sequential([*layers, keras.layers.Dense(3, activation="softmax")])
model.save("net.h5")
model.export("saved", verbose=False)
open("net.tflite", "wb").write(tf.lite.TFLiteConverter.from_saved_model("saved").convert())
@tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
def erfinv(x):
    return tf.math.erfinv(x)
converter = tf.lite.TFLiteConverter.from_concrete_functions([erfinv.get_concrete_function()])
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
converter.allow_custom_ops = True
open("unsupported.tflite", "wb").write(converter.convert())

# A graph model as TF.js writes it: convolution, bias and activation in one node, weights in a file of their own.
kernel = np.random.default_rng(0).normal(size=(3, 3, 1, 2)).astype(np.float32)
weights = {"kernel": kernel, "bias": np.float32([0.1, -0.2])}
def node(name, op, inputs=(), **attributes):
    return {"name": name, "op": op, "input": list(inputs), "attr": {"T": {"type": "DT_FLOAT"}, **attributes}}
size = lambda *sizes: {"shape": {"dim": [{"size": str(n)} for n in sizes]}}
floating = {"dtype": {"type": "DT_FLOAT"}}
text = lambda word: {"s": __import__("base64").b64encode(word.encode()).decode()}
fused = {"list": {"s": [text("BiasAdd")["s"], text("Relu")["s"]]}}
nodes = [
    {"name": "image", "op": "Placeholder", "attr": floating | {"shape": size(-1, 8, 8, 1)}},
    *({"name": n, "op": "Const", "attr": floating | {"value": {"tensor": {"dtype": "DT_FLOAT"}}}} for n in weights),
    node("conv", "_FusedConv2D", ["image", "kernel", "bias"], strides={"list": {"i": ["1"] * 4}},
         padding=text("VALID"), fused_ops=fused, num_args={"i": "1"}, data_format=text("NHWC"), epsilon={"f": 0.0}),
    {"name": "axes", "op": "Const", "attr": {"dtype": {"type": "DT_INT32"}, "value": {"tensor": {
        "dtype": "DT_INT32", "tensorShape": {"dim": [{"size": "2"}]}, "intVal": [1, 2]}}}},
    node("mean", "Mean", ["conv", "axes"], Tidx={"type": "DT_INT32"}, keep_dims={"b": False}),
    node("scores", "Softmax", ["mean"]),
]
os.mkdir("tfjs")
open("tfjs/weights.bin", "wb").write(b"".join(values.tobytes() for values in weights.values()))
manifest = [{"name": name, "shape": list(values.shape), "dtype": "float32"} for name, values in weights.items()]
json.dump({
    "format": "graph-model", "modelTopology": {"node": nodes, "versions": {"producer": 1000}},
    "signature": {"inputs": {"image": {"name": "image:0"}}, "outputs": {"scores": {"name": "scores:0"}}},
    "weightsManifest": [{"paths": ["weights.bin"], "weights": manifest}],
}, open("tfjs/model.json", "w"))

# Whole numbers in 8 bits, added to what is given: -1.5, -0.8, -0.1 and 0.6 before they are rounded.
whole = {"dtype": {"type": "DT_INT32"}, "value": {"tensor": {"dtype": "DT_INT32"}}}
nodes = [
    {"name": "given", "op": "Placeholder", "attr": floating | {"shape": size(-1, 4)}},
    {"name": "whole", "op": "Const", "attr": whole},
    {"name": "cast", "op": "Cast", "input": ["whole"], "attr": {"SrcT": whole["dtype"], "DstT": floating["dtype"]}},
    node("sum", "AddV2", ["given", "cast"]),
]
os.mkdir("packed")
open("packed/weights.bin", "wb").write(bytes([0, 1, 2, 3]))
packing = {"dtype": "uint8", "scale": 0.7, "min": -1.5}
json.dump({
    "format": "graph-model", "modelTopology": {"node": nodes, "versions": {"producer": 1000}},
    "signature": {"inputs": {"given": {"name": "given:0"}}, "outputs": {"sum": {"name": "sum:0"}}},
    "weightsManifest": [{"paths": ["weights.bin"], "weights": [
        {"name": "whole", "shape": [4], "dtype": "int32", "quantization": packing}]}],
}, open("packed/model.json", "w"))
"""

CONVERTER = """
from pathlib import Path
from exporter.conversion import Request, write_conversion, write_refusal
from exporter.errors import ExportError, SourceError
from exporter.foreign import told
from exporter.sources.load import load
from exporter.sources.source import convert
def leave(source, framework):
    place = Path("left") / source
    place.mkdir(parents=True)
    request = Request(source, framework, output_names=("probabilities",))
    try:
        write_conversion(place, convert(load(request, {}), request, {}))
    except ExportError as error:
        write_refusal(place, error)
    except Exception as error:
        write_refusal(place, SourceError(told(error)))
for source, framework in (
    ("saved", "tensorflow"), ("tfjs", "tfjs"), ("net.tflite", "tflite"), ("net.h5", "keras"),
    ("unsupported.tflite", "tflite"), ("outside", "tfjs"), ("packed", "tfjs"),
):
    leave(source, framework)
"""


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder a source, as a conversion process leaves it."""
    made = tmp_path_factory.mktemp("tensorflow")
    subprocess.run([sys.executable, "-c", MAKER], cwd=made, check=True, timeout=110)
    text = (made / "tfjs" / "model.json").read_text()
    (made / "outside").mkdir()
    (made / "outside" / "model.json").write_text(text.replace("weights.bin", "../tfjs/weights.bin"))
    subprocess.run([sys.executable, "-c", CONVERTER], cwd=made, check=True, timeout=110)
    return made / "left"


@pytest.mark.parametrize("source", ["saved", "tfjs", "net.tflite", "net.h5"])
def test_a_file_of_tensorflow_is_equal_to_its_source(left: Path, source: str) -> None:
    conversion = read_conversion(left / source)
    outcome = compare_all(conversion, ["probabilities"], DEFAULT_TOLERANCE)
    assert outcome.failure == ""
    assert {"ordinary", "zeros", "negative", "large"} == {kind.kind for kind in outcome.report.kinds}
    (given,) = parse(conversion.graph).graph.input
    assert [size.dim_value or size.dim_param for size in given.type.tensor_type.shape.dim] == ["batch", 8, 8, 1]


def test_fused_operations_are_opened_to_be_on_the_safe_side(left: Path) -> None:
    """This tf2onnx opens a convolution by itself, as the graph without the remedy shows."""
    conversion = read_conversion(left / "tfjs")
    told = told_of(conversion, ["probabilities"], DEFAULT_TOLERANCE)
    assert told.guards == ("1 fused operations of TF.js opened",)


def test_whole_numbers_that_tfjs_packed_in_8_bits_are_rounded_half_up_as_it_does(left: Path) -> None:
    zeros = next(rows for rows in read_conversion(left / "packed").row_sets if rows.kind == "zeros")
    assert zeros.answers["probabilities"][0].tolist() == [-1, -1, 0, 1]


@pytest.mark.parametrize("source", ["saved", "net.tflite", "net.h5"])
def test_what_has_no_fused_operations_has_nothing_to_mend(left: Path, source: str) -> None:
    assert read_conversion(left / source).mends == ()


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("unsupported.tflite", "unresolved custom op: Erfinv"),
        ("outside", r"names weights outside its folder: '\.\./tfjs/weights\.bin'"),
    ],
)
def test_what_cannot_be_converted_is_refused(left: Path, source: str, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        read_conversion(left / source)
