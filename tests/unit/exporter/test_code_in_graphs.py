"""Graphs of TensorFlow that write files: refused before they are loaded, which would run them already.

The operations that save a checkpoint are in every SavedModel, for its saver: they alone ask for no trust.
"""

import subprocess
import sys

import pytest

MAKER = """
import base64, json, tensorflow as tf
from pathlib import Path
from tensorflow.core.protobuf import saved_model_pb2
class Line(tf.Module):
    def __init__(self):
        self.weights = tf.Variable(tf.ones((3, 1)))
    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32)])
    def __call__(self, features):
        return {"value": features @ self.weights}
line = Line()
tf.saved_model.save(line, "line", signatures=line.__call__)
def saves():
    return tf.raw_ops.SaveV2(prefix="init-ran", tensor_names=["a"], shape_and_slices=[""], tensors=[[1.0]])
class Saves(Line):
    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32)])
    def __call__(self, features):
        saves()
        return {"value": features @ self.weights}
keeps = Saves()
tf.saved_model.save(keeps, "keeps", signatures=keeps.__call__)
v1 = tf.compat.v1
def session_model(folder, made=lambda: None, restores_by=""):
    with tf.Graph().as_default(), v1.Session() as session:
        features = v1.placeholder(tf.float32, (None, 3), "features")
        weights = v1.get_variable("weights", (3, 1))
        init = made()
        saver = v1.train.Saver()
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(folder)
        signature = v1.saved_model.predict_signature_def({"features": features}, {"value": features @ weights})
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": signature}, saver=saver, main_op=None if restores_by else init
        )
        builder.save()
    if restores_by:
        path = Path(folder, "saved_model.pb")
        saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
        saved.meta_graphs[0].saver_def.restore_op_name = restores_by
        path.write_bytes(saved.SerializeToString())
session_model("ordinary")
session_model("writes", lambda: tf.io.write_file("init-ran", "x"))
session_model("saves", saves)
session_model("restores", saves, restores_by="SaveV2")
nodes = [
    {"name": "features", "op": "Placeholder", "attr": {"dtype": {"type": "DT_FLOAT"}, "shape": {"shape": {"dim": [
        {"size": "-1"}, {"size": "3"}]}}}},
    *({"name": name, "op": "Const", "attr": {"dtype": {"type": "DT_STRING"}, "value": {"tensor": {
        "dtype": "DT_STRING", "tensorShape": {}, "stringVal": [base64.b64encode(name.encode()).decode()]}}}}
      for name in ("tfjs-ran", "content")),
    {"name": "write", "op": "WriteFile", "input": ["tfjs-ran", "content"]},
    {"name": "value", "op": "Neg", "input": ["features", "^write"], "attr": {"T": {"type": "DT_FLOAT"}}},
]
Path("model.json").write_text(json.dumps({
    "format": "graph-model", "modelTopology": {"node": nodes, "versions": {"producer": 1000}}, "weightsManifest": [],
    "signature": {"inputs": {"features": {"name": "features:0"}}, "outputs": {"value": {"name": "value:0"}}},
}))
"""

LOADER = """
import numpy as np
from pathlib import Path
from exporter.conversion import Request
from exporter.errors import SourceError
from exporter.sources.load import load
from exporter.sources.source import convert
ROWS = {"features": np.ones((4, 3), np.float32)}
def converted(source, framework):
    request = Request(source, framework, output_names=("value",))
    try:
        return bool(convert(load(request, ROWS), request, ROWS).graph)
    except SourceError as error:
        return str(error)
for source in ("line", "ordinary", "writes", "saves", "restores", "keeps"):
    print(source, converted(source, "tensorflow"), sep="=")
print("model.json", converted("model.json", "tfjs"), sep="=")
print("init-ran", [path.name for path in Path().glob("init-ran*")], sep="=")
print("tfjs-ran", Path("tfjs-ran").exists(), sep="=")
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What came of each source."""
    folder = tmp_path_factory.mktemp("graphs")
    subprocess.run([sys.executable, "-c", MAKER], cwd=folder, check=True, timeout=110)
    done = subprocess.run(
        [sys.executable, "-c", LOADER], cwd=folder, check=False, timeout=110, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(line.split("=", 1) for line in done.stdout.splitlines()[-9:])


@pytest.mark.parametrize("name", ["line", "ordinary"])
def test_a_saved_model_needs_no_trust_for_the_operations_of_its_saver(said: dict[str, str], name: str) -> None:
    assert said[name] == "True"


@pytest.mark.parametrize(
    ("name", "operation"),
    [("writes", "WriteFile"), ("saves", "SaveV2"), ("restores", "SaveV2"), ("keeps", "MergeV2Checkpoints")],
)
def test_a_saved_model_that_writes_when_it_is_loaded_or_asked_is_refused_before(
    said: dict[str, str], name: str, operation: str
) -> None:
    assert said[name] == f"{name} runs code or touches files ({operation}): say --trust-code if it is yours"
    assert said["init-ran"] == "[]"


def test_a_tfjs_graph_that_writes_files_is_refused_without_the_flag(said: dict[str, str]) -> None:
    assert said["model.json"] == "model.json runs code or touches files (WriteFile): say --trust-code if it is yours"
    assert said["tfjs-ran"] == "False"
