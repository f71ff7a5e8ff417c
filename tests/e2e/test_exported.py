"""Models that a user exports, one a family of frameworks, served and asked over gRPC: the source's own answers."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.struct_pb2 import Struct
from PIL import Image

from argosy.v1 import tabular_pb2, text_pb2, vision_pb2
from tests.e2e.calls import call
from tests.e2e.harness import ROOT, Processes

# What a user has: model files, and what the models say to one request each.
MAKER = """
import json, joblib, keras, numpy as np, torch, xgboost
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
random = np.random.default_rng(0)
rows = random.normal(size=(300, 2)).astype(np.float32)
trees = xgboost.XGBClassifier(n_estimators=8).fit(rows, rows[:, 0] > 0.2)
trees.save_model("trees.ubj")
texts = ["a good day", "bad weather", "not good", "fine water"] * 10
words = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, ["up", "down", "down", "up"] * 10)
joblib.dump(words, "words.joblib")
keras.utils.set_random_seed(0)
layers = [keras.Input((8, 8, 1), name="image"), keras.layers.Conv2D(3, 3), keras.layers.Flatten()]
network = keras.Sequential([*layers, keras.layers.Dense(2, activation="softmax")])
network.export("saved_model", verbose=False)
torch.manual_seed(0)
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Conv2d(1, 2, 8)
    def forward(self, image):
        return self.inner(image).flatten(1).softmax(1)
torch.jit.trace(Net(), torch.zeros(2, 1, 8, 8)).save("script.pt")
grey = np.full((1, 8, 8, 1), np.float32(51) * np.float32(1 / 255), np.float32)
with torch.inference_mode():
    scripted = torch.jit.load("script.pt")(torch.from_numpy(grey.reshape(1, 1, 8, 8))).numpy()
asked = np.float32([[0.5, -0.25]])
answers = {"trees": trees.predict_proba(asked), "words": words.predict_proba(["good weather"]),
           "network": network(grey).numpy(), "script": scripted}
json.dump({name: values[0].tolist() for name, values in answers.items()}, open("answers.json", "w"))
"""
IMAGE = """
image: {input: image, width: 8, height: 8, color: COLOR_SPACE_GRAY, layout: IMAGE_LAYOUT_%s,
  scale: 0.003921568859368563, resize: RESIZE_MODE_STRETCH, interpolation: INTERPOLATION_BILINEAR}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("user")
    subprocess.run([sys.executable, "-c", MAKER], cwd=made, check=True, timeout=110)
    (made / "channels_last.yaml").write_text(IMAGE % "NHWC")
    (made / "channels_first.yaml").write_text(IMAGE % "NCHW")
    return made


def export(folder: Path, source: str, name: str, task: str, *more: str) -> None:
    """As a user does."""
    command = [sys.executable, "-m", "exporter", source, "--name", name, "--task", task, "--trust-code", *more]
    done = subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": f"{ROOT}:{ROOT}/protos"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def answer_of(folder: Path, name: str) -> object:
    """The source's probabilities by their place in its output."""
    source = json.loads((folder / "answers.json").read_text())[name]
    return pytest.approx(dict(enumerate(source)), abs=1e-5)


def by_index(categories: object) -> dict[int, float]:
    return {category.index: category.score for category in categories}


def test_boosted_trees_are_served(folder: Path, processes: Processes) -> None:
    export(folder, "trees.ubj", "trees", "tabular-classification", "--columns", "width,height", "--labels", "no,yes")
    row = Struct()
    row.update({"width": 0.5, "height": -0.25})
    request = tabular_pb2.TabularServicePredictRequest(model="trees", rows=[row])
    server = processes.service("tabular", folder / "models", "--model", "trees")
    reply = call(server.channel, "/argosy.v1.TabularService/Predict", request)
    result = tabular_pb2.TabularServicePredictResponse.FromString(reply).results[0]
    assert by_index(result.categories) == answer_of(folder, "trees")
    assert {category.label for category in result.categories} == {"no", "yes"}


def test_a_scikit_learn_pipeline_on_texts_is_served(folder: Path, processes: Processes) -> None:
    export(folder, "words.joblib", "words", "text-classification")
    request = text_pb2.TextServiceClassifyRequest(model="words", texts=["good weather"])
    server = processes.service("text", folder / "models", "--model", "words")
    reply = call(server.channel, "/argosy.v1.TextService/Classify", request)
    result = text_pb2.TextServiceClassifyResponse.FromString(reply).results[0]
    assert by_index(result.categories) == answer_of(folder, "words")
    assert {category.label for category in result.categories} == {"up", "down"}


@pytest.mark.parametrize(
    ("source", "name", "description", "inputs"),
    [
        ("saved_model", "network", "channels_last.yaml", []),
        ("script.pt", "script", "channels_first.yaml", ["--input", "image=float32[batch,1,8,8]"]),
    ],
    ids=["TensorFlow", "PyTorch"],
)
def test_a_network_is_served(
    folder: Path, processes: Processes, *, source: str, name: str, description: str, inputs: list[str]
) -> None:
    export(folder, source, name, "image-classification", "--describe", description, *inputs)
    png = io.BytesIO()
    Image.new("L", (8, 8), 51).save(png, "PNG")
    request = vision_pb2.VisionServiceClassifyRequest(model=name, images=[png.getvalue()])
    server = processes.service("vision", folder / "models", "--model", name)
    reply = call(server.channel, "/argosy.v1.VisionService/Classify", request)
    result = vision_pb2.VisionServiceClassifyResponse.FromString(reply).results[0]
    assert by_index(result.categories) == answer_of(folder, name)
