"""Two sources in one graph, of the matrix: each saved by itself, the answers those of one after the other."""

from collections.abc import Callable
from pathlib import Path

import joblib
import keras
import numpy as np
import onnx
import tensorflow as tf
import torch
import xgboost
from keras import layers
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from tokenizers import Tokenizer, models, pre_tokenizers

from tests.matrix import describe
from tests.matrix.case import Made, Rows
from tests.matrix.data import Numbers, wine
from tests.matrix.describe import FEATURES, LOGITS, PROBABILITIES, TEXT, VALUE
from tests.matrix.people import as_samples, people
from tests.matrix.texts import as_rows, sentences

FIRST, NETWORK = "first.joblib", "network.keras"
_BEHIND = ("--preprocess", FIRST, "--trust-code")

Network = Callable[[Numbers], Numbers]


def pipeline_tfidf_keras(folder: Path) -> Made:
    texts, first = sentences(), _saved(folder, TfidfVectorizer().fit(sentences().fit))
    network = _trained(_dense(first, texts.fit), texts.fit_classes)
    network.save(folder / NETWORK)

    def answer(rows: Rows) -> Rows:
        logits = network.predict(_dense(first, rows[TEXT][:, 0]), verbose=0)
        return {LOGITS: logits, PROBABILITIES: _softmax(logits), "label": logits.argmax(axis=1)}

    flags = (*_BEHIND, "--softmax", LOGITS, "--argmax", LOGITS)
    return Made(NETWORK, describe.text(LOGITS), as_rows(texts.samples), texts.fresh(), answer, flags)


def pipeline_columns_pytorch(folder: Path) -> Made:
    """Numbers have gaps and texts are new among the rows of the judge."""
    chosen = people()
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    texts = OneHotEncoder(handle_unknown="ignore")
    columns = ColumnTransformer([("n", numbers, chosen.numbers), ("t", texts, chosen.texts)], sparse_threshold=1.0)
    first = _saved(folder, columns.fit(chosen.fit))
    width = _dense(first, chosen.fit.head(1)).shape[1]
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(width, 8), torch.nn.GELU(), torch.nn.Linear(8, 1))
    torch.jit.trace(module, torch.zeros(2, width)).save(folder / "network.pt")

    def answer(rows: Rows) -> Rows:
        with torch.inference_mode():
            yes = torch.sigmoid(module(torch.from_numpy(_dense(first, chosen.frame(rows))))).numpy()
        return {PROBABILITIES: np.concatenate([1 - yes, yes], axis=1)}

    described = describe.columns(chosen.columns, chosen.texts, VALUE)
    described.tasks[:] = describe.columns(chosen.columns, chosen.texts, PROBABILITIES).tasks
    flags = (*_BEHIND, "--sigmoid", VALUE)
    return Made("network.pt", described, as_samples(chosen.samples), chosen.fresh(missing=True), answer, flags)


def pipeline_scaler_onnx(folder: Path) -> Made:
    weights = np.random.default_rng(0).normal(size=(13, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["input_1", "weights"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["p"]),
        ],
        "linear",
        [helper.make_tensor_value_info("input_1", TensorProto.FLOAT, ["n", 13])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(weights, "weights")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), folder / "n.onnx")
    return _of_wine(folder, "n.onnx", StandardScaler(), lambda rows: _softmax(rows @ weights))


def pipeline_components_tflite(folder: Path) -> Made:
    first = make_pipeline(StandardScaler(), PCA(5)).fit(wine().fit_rows)
    network = keras.Sequential([*_layers(5), layers.Softmax()])
    (folder / "network.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(network).convert())
    return _of_wine(folder, "network.tflite", first, lambda rows: network.predict(rows, verbose=0))


def pipeline_keras_xgboost(folder: Path) -> Made:
    """The network comes first: its hidden layer is the table of the trees."""
    table = wine(scaled=True)
    network = _trained(table.fit_rows, table.fit_targets)
    hidden = keras.Sequential([keras.Input((13,)), network.layers[0]])
    hidden.save(folder / NETWORK)
    trees = xgboost.XGBClassifier(n_estimators=10).fit(hidden.predict(table.fit_rows, verbose=0), table.fit_targets)
    trees.save_model(folder / "trees.ubj")
    return Made(
        "trees.ubj",
        describe.numbers(table.width, PROBABILITIES),
        {FEATURES: table.samples},
        table.fresh(),
        lambda rows: {PROBABILITIES: trees.predict_proba(hidden.predict(rows[FEATURES], verbose=0))},
        ("--preprocess", NETWORK),
    )


def pipeline_words_pytorch(folder: Path) -> Made:
    return _of_ids(folder, models.WordLevel({"[PAD]": 0, "[UNK]": 1, **_vocabulary()}, unk_token="[UNK]"))


def pipeline_pieces(folder: Path) -> Made:
    return _of_ids(folder, models.WordPiece({"[PAD]": 0, "[UNK]": 1, **_vocabulary()}, unk_token="[UNK]"))


def _vocabulary() -> dict[str, int]:
    words = sorted({word for text in sentences().fit for word in text.split()})
    return {word: position for position, word in enumerate(words, 2)}


def _of_ids(folder: Path, model: models.Model) -> Made:
    texts, tokenizer = sentences(), Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.enable_padding(length=24)
    tokenizer.enable_truncation(24)
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Embedding(len(_vocabulary()) + 2, 8),
        torch.nn.Flatten(),
        torch.nn.Linear(24 * 8, 4),
        torch.nn.Softmax(1),
    )
    torch.jit.trace(network, torch.zeros(2, 24, dtype=torch.int64)).save(folder / "network.pt")

    def answer(rows: Rows) -> Rows:
        ids = [row.ids for row in tokenizer.encode_batch(rows[TEXT][:, 0].tolist())]
        with torch.inference_mode():
            return {PROBABILITIES: network(torch.tensor(ids)).numpy()}

    flags = ("--preprocess", "tokenizer.json")
    return Made("network.pt", describe.text(PROBABILITIES), as_rows(texts.samples), texts.fresh(), answer, flags)


def pipeline_widths(folder: Path) -> Made:
    """The vectoriser was fitted anew after the network was trained."""
    made = pipeline_tfidf_keras(folder)
    _saved(folder, TfidfVectorizer(max_features=50).fit(sentences().fit))
    return made


def pipeline_softmax_twice(folder: Path) -> Made:
    table = wine(scaled=True)
    keras.Sequential([*_trained(table.fit_rows, table.fit_targets).layers, layers.Softmax()]).save(folder / NETWORK)
    return _alone(LOGITS, "--softmax", LOGITS)


def pipeline_logits_as_probabilities(folder: Path) -> Made:
    table = wine(scaled=True)
    _trained(table.fit_rows, table.fit_targets).save(folder / NETWORK)
    return _alone(PROBABILITIES)


def _alone(output: str, *flags: str) -> Made:
    """A network that is refused: its answers are not asked for."""
    table = wine(scaled=True)
    return Made(NETWORK, describe.numbers(13, output), {FEATURES: table.samples}, table.fresh(), lambda _: {}, flags)


def _of_wine(folder: Path, given: str, first: BaseEstimator, network: Network) -> Made:
    table = wine()
    _saved(folder, first.fit(table.fit_rows))
    return Made(
        given,
        describe.numbers(table.width, PROBABILITIES),
        {FEATURES: table.samples},
        table.fresh(),
        lambda rows: {PROBABILITIES: network(_dense(first, rows[FEATURES]))},
        _BEHIND,
    )


def _saved(folder: Path, first: BaseEstimator) -> BaseEstimator:
    joblib.dump(first, folder / FIRST)
    return first


def _trained(rows: Numbers, classes: NDArray[np.generic]) -> keras.Sequential:
    """Its last layer answers logits."""
    keras.utils.set_random_seed(0)
    network = keras.Sequential(_layers(rows.shape[1], int(classes.max()) + 1))
    network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    network.fit(rows, classes, epochs=5, verbose=0)
    return network


def _layers(width: int, classes: int = 3) -> list[layers.Layer]:
    return [keras.Input((width,)), layers.Dense(16, "tanh"), layers.Dense(classes)]


def _dense(first: BaseEstimator, rows: object) -> Numbers:
    """What the network reads: float32, nothing left out."""
    answered = first.transform(rows)
    return np.asarray(answered.todense() if hasattr(answered, "todense") else answered, np.float32)


def _softmax(logits: Numbers) -> Numbers:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Numbers = powers / powers.sum(axis=1, keepdims=True)
    return shares
