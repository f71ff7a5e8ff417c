"""TensorFlow's files through `python -m exporter`: SavedModel, TF.js with fused operations, TFLite, .h5."""

import subprocess
import sys
from pathlib import Path

import pytest

from exporter.__main__ import main
from exporter.manifest import from_yaml

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
"""
IMAGE = """
image: {input: image, width: 8, height: 8, color: COLOR_SPACE_GRAY, layout: IMAGE_LAYOUT_NHWC,
  resize: RESIZE_MODE_STRETCH, interpolation: INTERPOLATION_BILINEAR}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tensorflow")
    subprocess.run([sys.executable, "-c", MAKER], cwd=made, check=True, timeout=110)
    (made / "image.yaml").write_text(IMAGE)
    return made


def export(folder: Path, source: str, models: Path) -> int:
    named = ["--name", "net", "--task", "image-classification", "--describe", str(folder / "image.yaml")]
    return main([str(folder / source), *named, "--output", str(models)])


@pytest.mark.parametrize("source", ["saved", "tfjs", "net.tflite", "net.h5"])
def test_a_file_of_tensorflow_is_equal_to_its_source(folder: Path, tmp_path: Path, source: str) -> None:
    assert export(folder, source, tmp_path) == 0
    manifest = from_yaml((tmp_path / "net" / "1" / "model.yaml").read_text())
    assert [list(spec.shape) for spec in manifest.inputs] == [[-1, 8, 8, 1]]
    assert {"ordinary", "zeros", "negative", "large"} == {kind.kind for kind in manifest.parity.kinds}
    assert any("fused" in remedy for remedy in manifest.source.remedies) == (source == "tfjs")


def test_an_operator_that_cannot_be_converted_is_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(folder, "unsupported.tflite", tmp_path) == 1
    error = capsys.readouterr().err
    assert "Erfinv" in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_weights_outside_the_models_folder_are_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (folder / "tfjs" / "model.json").read_text()
    (tmp_path / "model.json").write_text(text.replace("weights.bin", "../weights.bin"))
    assert export(folder, str(tmp_path / "model.json"), tmp_path / "models") == 1
    assert "names weights outside its folder: '../weights.bin'" in capsys.readouterr().err
