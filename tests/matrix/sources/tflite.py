"""TFLite's models of the matrix: flat files, in float32 and quantised; their answers are TFLite's own."""

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from argosy.v1 import manifest_pb2 as pb
from tests.matrix import describe
from tests.matrix.case import Made, Rows
from tests.matrix.data import digits, wine
from tests.matrix.describe import FEATURES, IDS, IMAGE, PROBABILITIES
from tests.matrix.letters import VOCABULARY
from tests.matrix.sources.keras import dense, fit
from tests.matrix.texts import WORD_LETTERS, words

FILE = "model.tflite"


def tflite_dense(folder: Path) -> Made:
    return _numbers(folder, tf.lite.TFLiteConverter.from_keras_model(dense()))


def tflite_dynamic_range(folder: Path) -> Made:
    """Weights in 8 bits, activations quantised as they come."""
    converter = tf.lite.TFLiteConverter.from_keras_model(dense(hidden=64))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return _numbers(folder, converter)


def tflite_convolution(folder: Path) -> Made:
    return _images(folder, tf.lite.TFLiteConverter.from_keras_model(_convolution()))


def tflite_whole_int8(folder: Path) -> Made:
    """Weights and activations in 8 bits, calibrated on rows."""

    def calibration() -> Iterator[list[np.ndarray]]:
        for row in digits().fit_rows[:100]:
            yield [row[None]]

    converter = tf.lite.TFLiteConverter.from_keras_model(_convolution())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = calibration
    return _images(folder, converter)


def tflite_half(folder: Path) -> Made:
    """Weights in 16 bits."""
    converter = tf.lite.TFLiteConverter.from_keras_model(dense())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return _numbers(folder, converter)


def tflite_embedding(folder: Path) -> Made:
    chosen = words()
    begin = keras.Input((WORD_LETTERS,), dtype="int32")
    middle = [layers.Embedding(VOCABULARY, 12), layers.Conv1D(8, 3, activation="relu"), layers.GlobalMaxPooling1D()]
    model = keras.Sequential([begin, *middle, layers.Dense(2, "softmax")])
    fit(model, chosen.fit_ids.astype(np.int32), chosen.fit_classes, "sparse_categorical_crossentropy", epochs=2)
    description = describe.token_ids(PROBABILITIES)
    for given in description.inputs:
        given.shape[:] = [-1, WORD_LETTERS]
    fresh = {"held out": chosen.fresh(np.int32)["held out"]}
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    return _made(folder, converter, description, {IDS: chosen.samples.astype(np.int32)}, fresh)


def tflite_unsupported(folder: Path) -> Made:
    """GELU is an operator of TFLite's own that tf2onnx passes over with exit code 0."""
    return _numbers(folder, tf.lite.TFLiteConverter.from_keras_model(dense(activation="gelu")))


def tflite_truncated(folder: Path) -> Made:
    made = tflite_dense(folder)
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(content[: len(content) // 2])
    return made


def _convolution() -> keras.Model:
    table = digits()
    network = [
        keras.Input((8, 8, 1)),
        layers.Conv2D(8, 3, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(10, "softmax"),
    ]
    model = keras.Sequential(network)
    fit(model, table.fit_rows, table.fit_targets, "sparse_categorical_crossentropy", epochs=2)
    return model


def _numbers(folder: Path, converter: tf.lite.TFLiteConverter) -> Made:
    table = wine(scaled=True)
    return _made(folder, converter, describe.numbers(13, PROBABILITIES), {FEATURES: table.samples}, table.fresh())


def _images(folder: Path, converter: tf.lite.TFLiteConverter) -> Made:
    table = digits()
    return _made(folder, converter, describe.image(8, PROBABILITIES), {IMAGE: table.samples}, table.fresh_images())


def _made(
    folder: Path,
    converter: tf.lite.TFLiteConverter,
    description: pb.ModelManifest,
    samples: Rows,
    fresh: dict[str, Rows],
) -> Made:
    content = converter.convert()
    (folder / FILE).write_bytes(content)
    return Made(FILE, description, samples, fresh, lambda rows: {PROBABILITIES: _answers(content, rows)})


def _answers(content: bytes, rows: Rows) -> np.ndarray:
    """TFLite's answers, its batch brought to the number of rows."""
    runner = tf.lite.Interpreter(model_content=content)
    given, values = runner.get_input_details()[0], next(iter(rows.values()))
    runner.resize_tensor_input(given["index"], values.shape)
    runner.allocate_tensors()
    runner.set_tensor(given["index"], values)
    runner.invoke()
    return runner.get_tensor(runner.get_output_details()[0]["index"])
