"""A pipeline and a network of another framework, exported as one graph and served: the answers of both, run by hand."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.struct_pb2 import Struct

from argosy.v1 import tabular_pb2, text_pb2
from inference.grpc_service_pb2 import ModelInferResponse
from tests.e2e.calls import call
from tests.e2e.harness import Processes
from tests.e2e.test_exported import answer_of, by_index, export
from tests.e2e.traffic import MODEL_INFER, infer

# A vectoriser before a Keras network that answers logits. The answers are those of the two, one after the other.
WORDS = """
import json, joblib, keras, numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
words = TfidfVectorizer().fit(["a good day", "bad weather today", "not good at all", "fine water here"] * 8)
joblib.dump(words, "words.joblib")
keras.utils.set_random_seed(0)
layers = [keras.Input((len(words.vocabulary_),)), keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(3)]
logits = keras.Sequential(layers)
logits.save("logits.keras")
def asked(texts):
    powers = np.exp(logits(words.transform(texts).toarray().astype(np.float32)).numpy())
    return (powers / powers.sum(axis=1, keepdims=True))[0].tolist()
answers = {"known": asked(["Good weather, fine day."]), "unseen": asked(["never Heard école"])}
json.dump(answers, open("answers.json", "w"))
"""
# Columns of numbers and texts before a scripted network of PyTorch that says yes or no.
COLUMNS = """
import json, joblib, numpy as np, pandas as pd, torch
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
random = np.random.default_rng(0)
table = pd.DataFrame({"hours-per-week": random.normal(40, 9, 200), "kind": random.choice(["a", "b"], 200)})
table = table.astype({"hours-per-week": np.float32, "kind": object})
numbers, texts = make_pipeline(SimpleImputer(), StandardScaler()), OneHotEncoder(handle_unknown="ignore")
columns = ColumnTransformer([("n", numbers, ["hours-per-week"]), ("t", texts, ["kind"])], sparse_threshold=1.0)
joblib.dump(columns.fit(table), "columns.joblib")
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(3, 6), torch.nn.GELU(), torch.nn.Linear(6, 1))
torch.jit.trace(net, torch.zeros(2, 3)).save("yes.pt")
def yes(hours, kind):
    row = pd.DataFrame([{"hours-per-week": np.float32(hours), "kind": kind}])
    given = torch.from_numpy(np.asarray(columns.transform(row).todense(), np.float32))
    with torch.inference_mode():
        share = float(torch.sigmoid(net(given))[0, 0])
    return [1 - share, share]
json.dump({"person": yes(55.5, "b"), "stranger": yes("nan", "z")}, open("answers.json", "w"))
"""
LABELS = ("sun", "rain", "snow")


def make(folder: Path, program: str) -> Path:
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True, timeout=110)
    return folder


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sources' answers and the exported text model."""
    folder = make(tmp_path_factory.mktemp("words"), WORDS)
    added = ["--softmax", "logits", "--argmax", "logits", "--labels", ",".join(LABELS)]
    export(folder, "logits.keras", "words", "text-classification", "--preprocess", "words.joblib", *added)
    return folder


def test_texts_are_vectorised_and_classified_in_one_graph(words: Path, processes: Processes) -> None:
    texts = ["Good weather, fine day.", "never Heard école"]
    server = processes.service("text", words / "models", "--model", "words")
    request = text_pb2.TextServiceClassifyRequest(model="words", texts=texts)
    reply = text_pb2.TextServiceClassifyResponse.FromString(
        call(server.channel, "/argosy.v1.TextService/Classify", request)
    )
    known, unseen = reply.results
    assert by_index(known.categories) == answer_of(words, "known")
    assert by_index(unseen.categories) == answer_of(words, "unseen")


def test_the_label_is_an_output_of_its_own(words: Path, processes: Processes) -> None:
    text = b"Good weather, fine day."
    server = processes.service("text", words / "models", "--model", "words")
    request = infer("words", ("text", "BYTES", (1, 1), len(text).to_bytes(4, "little") + text))
    reply = ModelInferResponse.FromString(call(server.channel, MODEL_INFER, request))
    answered = {
        output.name: (output.datatype, list(output.shape), raw)
        for output, raw in zip(reply.outputs, reply.raw_output_contents, strict=True)
    }
    probabilities = json.loads((words / "answers.json").read_text())["known"]
    label = LABELS[int(np.argmax(probabilities))].encode()
    assert answered["label"] == ("BYTES", [1], len(label).to_bytes(4, "little") + label)
    np.testing.assert_allclose(np.frombuffer(answered["probabilities"][2], "<f4"), probabilities, atol=1e-5)


def test_a_table_of_numbers_and_texts_is_read_by_its_columns(tmp_path: Path, processes: Processes) -> None:
    folder = make(tmp_path, COLUMNS)
    added = ["--sigmoid", "yes", "--labels", "no,yes"]
    export(folder, "yes.pt", "columns", "tabular-classification", "--preprocess", "columns.joblib", *added)
    person, stranger = Struct(), Struct()
    person.update({"hours-per-week": 55.5, "kind": "b"})
    stranger.update({"kind": "z"})
    server = processes.service("tabular", folder / "models", "--model", "columns")
    request = tabular_pb2.TabularServicePredictRequest(model="columns", rows=[person, stranger])
    reply = call(server.channel, "/argosy.v1.TabularService/Predict", request)
    known, unknown = tabular_pb2.TabularServicePredictResponse.FromString(reply).results
    assert by_index(known.categories) == answer_of(folder, "person")
    assert by_index(unknown.categories) == answer_of(folder, "stranger")
    assert list(unknown.imputed_columns) == ["hours-per-week"]
