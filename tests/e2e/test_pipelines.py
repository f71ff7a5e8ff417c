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

# A vectoriser before a Keras network that answers logits; columns of numbers and texts before a scripted network of
# PyTorch that says yes or no. The answers are those of the two, one after the other, in their own frameworks.
MAKER = """
import json, joblib, keras, numpy as np, pandas as pd, torch
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
random = np.random.default_rng(0)
words = TfidfVectorizer().fit(["a good day", "bad weather today", "not good at all", "fine water here"] * 8)
joblib.dump(words, "words.joblib")
keras.utils.set_random_seed(0)
layers = [keras.Input((len(words.vocabulary_),)), keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(3)]
logits = keras.Sequential(layers)
logits.save("logits.keras")
table = pd.DataFrame({"hours-per-week": random.normal(40, 9, 200), "kind": random.choice(["a", "b"], 200)})
table = table.astype({"hours-per-week": np.float32, "kind": object})
numbers, texts = make_pipeline(SimpleImputer(), StandardScaler()), OneHotEncoder(handle_unknown="ignore")
columns = ColumnTransformer([("n", numbers, ["hours-per-week"]), ("t", texts, ["kind"])], sparse_threshold=1.0)
joblib.dump(columns.fit(table), "columns.joblib")
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(3, 6), torch.nn.GELU(), torch.nn.Linear(6, 1))
torch.jit.trace(net, torch.zeros(2, 3)).save("yes.pt")
def softmax(values):
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
def asked(texts):
    return softmax(logits(words.transform(texts).toarray().astype(np.float32)).numpy())
def yes(**row):
    given = torch.from_numpy(np.asarray(columns.transform(pd.DataFrame([row])).todense(), np.float32))
    with torch.inference_mode():
        share = torch.sigmoid(net(given)).numpy()
    return np.concatenate([1 - share, share], axis=1)
answers = {"known": asked(["Good weather, fine day."]), "unseen": asked(["never Heard école"]),
           "person": yes(**{"hours-per-week": np.float32(55.5), "kind": "b"}),
           "stranger": yes(**{"hours-per-week": np.float32("nan"), "kind": "z"})}
json.dump({name: values[0].tolist() for name, values in answers.items()}, open("answers.json", "w"))
"""
LABELS = ("sun", "rain", "snow")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("pipelines")
    subprocess.run([sys.executable, "-c", MAKER], cwd=made, check=True, timeout=110)
    return made


@pytest.fixture(scope="module")
def words(folder: Path) -> Path:
    """The models folder with the text model."""
    added = ["--softmax", "logits", "--argmax", "logits", "--labels", ",".join(LABELS)]
    export(folder, "logits.keras", "words", "text-classification", "--preprocess", "words.joblib", *added)
    return folder / "models"


def test_texts_are_vectorised_and_classified_in_one_graph(folder: Path, words: Path, processes: Processes) -> None:
    texts = ["Good weather, fine day.", "never Heard école"]
    server = processes.service("text", words, "--model", "words")
    request = text_pb2.TextServiceClassifyRequest(model="words", texts=texts)
    reply = text_pb2.TextServiceClassifyResponse.FromString(
        call(server.channel, "/argosy.v1.TextService/Classify", request)
    )
    known, unseen = reply.results
    assert by_index(known.categories) == answer_of(folder, "known")
    assert by_index(unseen.categories) == answer_of(folder, "unseen")


def test_the_label_is_an_output_of_its_own(folder: Path, words: Path, processes: Processes) -> None:
    text = b"Good weather, fine day."
    server = processes.service("text", words, "--model", "words")
    request = infer("words", ("text", "BYTES", (1, 1), len(text).to_bytes(4, "little") + text))
    reply = ModelInferResponse.FromString(call(server.channel, MODEL_INFER, request))
    answered = {
        output.name: (output.datatype, list(output.shape), raw)
        for output, raw in zip(reply.outputs, reply.raw_output_contents, strict=True)
    }
    probabilities = json.loads((folder / "answers.json").read_text())["known"]
    label = LABELS[int(np.argmax(probabilities))].encode()
    assert answered["label"] == ("BYTES", [1], len(label).to_bytes(4, "little") + label)
    np.testing.assert_allclose(np.frombuffer(answered["probabilities"][2], "<f4"), probabilities, atol=1e-5)


def test_a_table_of_numbers_and_texts_is_read_by_its_columns(folder: Path, processes: Processes) -> None:
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
