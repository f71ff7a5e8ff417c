"""TensorFlow's models of the matrix: SavedModel folders and TF.js graph models."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from argosy.v1 import manifest_pb2 as pb
from tests.matrix import describe
from tests.matrix.case import Made, Rows
from tests.matrix.data import digits, patients, wine
from tests.matrix.describe import FEATURES, IDS, IMAGE, PROBABILITIES, TEXT, VALUE
from tests.matrix.letters import VOCABULARY
from tests.matrix.sources import tfjs_files
from tests.matrix.sources.keras import dense, fit
from tests.matrix.texts import as_rows, sentences, words

_SAVED, _SCRIPTED = "saved_model", "tfjs"


class Line(tf.Module):
    """A TensorFlow module without Keras, its tensors named by its own signature."""

    def __init__(self, weights: np.ndarray) -> None:
        super().__init__()
        self.weights = tf.Variable(weights.astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec((None, 10), tf.float32, name=FEATURES)])
    def predict(self, features: tf.Tensor) -> dict[str, tf.Tensor]:
        centred = features - tf.reduce_mean(self.weights)
        return {VALUE: tf.einsum("bi,io->bo", tf.nn.softplus(centred / 100.0), self.weights)}


class Reader(tf.Module):
    """Splits texts into words: operators that ONNX does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = tf.Variable(tf.random.stateless_normal((50, 4), (0, 1)))

    @tf.function(input_signature=[tf.TensorSpec((None, 1), tf.string, name=TEXT)])
    def predict(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        found = tf.strings.to_hash_bucket_fast(tf.strings.split(tf.squeeze(text, 1)), 50)
        return {PROBABILITIES: tf.nn.softmax(tf.reduce_sum(tf.gather(self.weights, found), axis=1))}


def tensorflow_module(folder: Path) -> Made:
    table = patients()
    weights, *_ = np.linalg.lstsq(table.fit_rows, table.fit_targets[:, None], rcond=None)
    module = Line(weights)
    tf.saved_model.save(module, str(folder / _SAVED), signatures={"serving_default": module.predict})
    answer = lambda rows: {VALUE: module.predict(tf.constant(rows[FEATURES]))[VALUE].numpy()}  # noqa: E731
    return Made(_SAVED, describe.numbers(10, VALUE), {FEATURES: table.samples}, table.fresh(), answer)


def tensorflow_strings(folder: Path) -> Made:
    module, texts = Reader(), sentences()
    tf.saved_model.save(module, str(folder / _SAVED), signatures={"serving_default": module.predict})
    answer = lambda rows: {PROBABILITIES: module.predict(tf.constant(rows[TEXT]))[PROBABILITIES].numpy()}  # noqa: E731
    return Made(_SAVED, describe.text(PROBABILITIES), as_rows(texts.samples), texts.fresh(), answer)


def tensorflow_dense(folder: Path) -> Made:
    model = dense()
    model.export(folder / _SAVED, verbose=False)
    return _numbers(_SAVED, model)


def tensorflow_convolution(folder: Path) -> Made:
    model = _convolution()
    model.export(folder / _SAVED, verbose=False)
    return _images(_SAVED, model)


def tensorflow_lstm(folder: Path) -> Made:
    model = _words_model(layers.LSTM(12))
    model.export(folder / _SAVED, verbose=False)
    return _words(_SAVED, model)


def tensorflow_masked_gru(folder: Path) -> Made:
    model = _words_model(layers.GRU(12), mask_zero=True)
    model.export(folder / _SAVED, verbose=False)
    return _words(_SAVED, model)


def tfjs_dense(folder: Path) -> Made:
    model = dense()
    tfjs_files.save(folder / _SCRIPTED, _concrete(model, (None, 13)), FEATURES, PROBABILITIES)
    return _numbers(f"{_SCRIPTED}/model.json", model)


def tfjs_convolution(folder: Path) -> Made:
    model = _convolution()
    tfjs_files.save(folder / _SCRIPTED, _concrete(model, (None, 8, 8, 1)), IMAGE, PROBABILITIES)
    return _images(f"{_SCRIPTED}/model.json", model)


def tfjs_missing_weights(folder: Path) -> Made:
    """The file of weights was not copied along."""
    made = tfjs_dense(folder)
    next((folder / _SCRIPTED).glob("*.bin")).unlink()
    return made


def _convolution() -> keras.Model:
    table = digits()
    network = [
        keras.Input((8, 8, 1)),
        layers.Conv2D(8, 3, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.AveragePooling2D(2),
        layers.Flatten(),
        layers.Dense(10, "softmax"),
    ]
    model = keras.Sequential(network)
    fit(model, table.fit_rows, table.fit_targets, "sparse_categorical_crossentropy", epochs=2)
    return model


def _words_model(recurrent: layers.Layer, *, mask_zero: bool = False) -> keras.Model:
    chosen = words()
    embedding = layers.Embedding(VOCABULARY, 12, mask_zero=mask_zero)
    begin = keras.Input((None,), dtype="int32", name=IDS)
    model = keras.Sequential([begin, embedding, recurrent, layers.Dense(2, "softmax")])
    fit(model, chosen.fit_ids.astype(np.int32), chosen.fit_classes, "sparse_categorical_crossentropy", epochs=2)
    return model


def _concrete(model: keras.Model, shape: tuple[int | None, ...]) -> tf.types.experimental.ConcreteFunction:
    traced = tf.function(lambda rows: model(rows, training=False))
    return traced.get_concrete_function(tf.TensorSpec(shape, tf.float32))


def _numbers(given: str, model: keras.Model) -> Made:
    table = wine(scaled=True)
    description = describe.numbers(13, PROBABILITIES)
    return _made(given, description, {FEATURES: table.samples}, table.fresh(), model)


def _images(given: str, model: keras.Model) -> Made:
    table = digits()
    return _made(given, describe.image(8, PROBABILITIES), {IMAGE: table.samples}, table.fresh_images(), model)


def _words(given: str, model: keras.Model) -> Made:
    chosen = words()
    samples = {IDS: chosen.samples.astype(np.int32)}
    return _made(given, describe.token_ids(PROBABILITIES), samples, chosen.fresh(np.int32), model)


def _made(given: str, description: pb.ModelManifest, samples: Rows, fresh: dict[str, Rows], model: keras.Model) -> Made:
    def answer(rows: Rows) -> Rows:
        return {PROBABILITIES: np.asarray(model(next(iter(rows.values())), training=False))}

    return Made(given, description, samples, fresh, answer)
