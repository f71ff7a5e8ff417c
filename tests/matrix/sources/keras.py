"""Keras 3's models of the matrix: trained for a moment, saved as .keras or .h5, or given as an object."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from keras import layers

from tests.matrix import describe
from tests.matrix.case import Made, Rows
from tests.matrix.data import digits, patients, wine
from tests.matrix.describe import EMBEDDING, FEATURES, IDS, IMAGE, PROBABILITIES, TEXT, VALUE
from tests.matrix.letters import VOCABULARY
from tests.matrix.sources.keras_networks import Scaled, TwoPaths
from tests.matrix.texts import as_rows, sentences, words

FILE = "model.keras"


def keras_dense(folder: Path) -> Made:
    network = [keras.Input((13,)), layers.Dense(16, "relu"), layers.Dropout(0.3), layers.Dense(3, "softmax")]
    return of_numbers(folder, keras.Sequential(network))


def keras_h5(folder: Path) -> Made:
    network = [keras.Input((13,)), layers.Dense(16, "tanh"), layers.Dense(3, "softmax")]
    return of_numbers(folder, keras.Sequential(network), file="model.h5")


def keras_functional(folder: Path) -> Made:
    """A path around the middle, and two outputs."""
    given = keras.Input((13,))
    hidden = layers.Dense(16, "gelu")(given)
    joined = layers.LayerNormalization()(layers.Add()([hidden, layers.Dense(16, "silu")(hidden)]))
    outputs = [layers.Dense(3, "softmax", name=PROBABILITIES)(joined), layers.Dense(4, name=EMBEDDING)(joined)]
    model = keras.Model(given, outputs)
    table = wine(scaled=True)
    targets = [table.fit_targets, np.zeros((len(table.fit_rows), 4), np.float32)]
    fit(model, table.fit_rows, targets, ["sparse_categorical_crossentropy", "mse"])
    model.save(folder / FILE)
    return Made(
        FILE,
        describe.numbers(table.width, PROBABILITIES, EMBEDDING),
        {FEATURES: table.samples},
        table.fresh(),
        lambda rows: answers(model, rows, FEATURES, (PROBABILITIES, EMBEDDING)),
    )


def keras_subclassed(folder: Path) -> Made:
    """A class of the user's own: only its module can bring it back."""
    table = wine(scaled=True)
    model = TwoPaths(3)
    fit(model, table.fit_rows, table.fit_targets, "sparse_categorical_crossentropy")
    model.save(folder / FILE)
    (folder / "mine.py").write_text(
        "from pathlib import Path\n\nimport keras\n\nfrom tests.matrix.sources import keras_networks  # noqa: F401\n\n"
        f'model = keras.saving.load_model(Path(__file__).with_name("{FILE}"))\n'
    )
    return Made(
        "mine:model",
        describe.numbers(table.width, PROBABILITIES),
        {FEATURES: table.samples},
        table.fresh(),
        lambda rows: answers(model, rows, FEATURES, (PROBABILITIES,)),
        ("--trust-code",),
    )


def keras_custom_layer(folder: Path) -> Made:
    """The file names a layer of which it has no code."""
    return of_numbers(folder, keras.Sequential([keras.Input((13,)), Scaled(), layers.Dense(3, "softmax")]))


def keras_normalised(folder: Path) -> Made:
    """Numbers in their own units: the network scales them itself."""
    table = patients()
    scale = layers.Normalization()
    scale.adapt(table.fit_rows)
    model = keras.Sequential([keras.Input((10,)), scale, layers.Dense(16, "relu"), layers.Dense(1)])
    fit(model, table.fit_rows, table.fit_targets, "mse")
    model.save(folder / FILE)
    return Made(
        FILE,
        describe.numbers(table.width, VALUE),
        {FEATURES: table.samples},
        table.fresh(),
        lambda rows: answers(model, rows, FEATURES, (VALUE,)),
    )


def keras_convolution(folder: Path) -> Made:
    network = [
        keras.Input((8, 8, 1)),
        layers.Conv2D(8, 3, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(10, "softmax"),
    ]
    return of_images(folder, keras.Sequential(network))


def keras_separable(folder: Path) -> Made:
    network = [
        keras.Input((8, 8, 1)),
        layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
        layers.DepthwiseConv2D(3, padding="same"),
        layers.BatchNormalization(),
        layers.SeparableConv2D(16, 3, padding="same", activation="hard_swish"),
        layers.Conv2DTranspose(8, 2, strides=2, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(10, "softmax"),
    ]
    return of_images(folder, keras.Sequential(network))


def keras_lstm(folder: Path) -> Made:
    return of_words(folder, [layers.LSTM(12)])


def keras_masked_lstm(folder: Path) -> Made:
    return of_words(folder, [layers.LSTM(12)], mask_zero=True)


def keras_gru(folder: Path) -> Made:
    return of_words(folder, [layers.GRU(12)])


def keras_bidirectional(folder: Path) -> Made:
    return of_words(folder, [layers.Bidirectional(layers.LSTM(8, return_sequences=True)), layers.GlobalMaxPooling1D()])


def keras_bag_of_letters(folder: Path) -> Made:
    return of_words(folder, [layers.GlobalAveragePooling1D()])


def keras_masked_mean(folder: Path) -> Made:
    return of_words(folder, [layers.GlobalAveragePooling1D()], mask_zero=True)


def keras_convolution_of_text(folder: Path) -> Made:
    return of_words(folder, [layers.Conv1D(16, 3, padding="causal", activation="relu"), layers.GlobalMaxPooling1D()])


def keras_attention(folder: Path) -> Made:
    ids = keras.Input((None,), dtype="int32")
    vectors = layers.Embedding(VOCABULARY, 16)(ids)
    attended = layers.MultiHeadAttention(2, 8)(vectors, vectors)
    pooled = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(layers.Add()([vectors, attended])))
    return _words(folder, keras.Model(ids, layers.Dense(2, "softmax")(pooled)))


def keras_texts(folder: Path) -> Made:
    """Lower case, marks taken out, words split, looked up and padded, all by the model itself."""
    behind = [layers.Embedding(400, 8, mask_zero=True), layers.LSTM(8), layers.Dense(4, "softmax")]
    return _of_sentences(folder, layers.TextVectorization(400, output_sequence_length=24), behind)


def keras_texts_any_length(folder: Path) -> Made:
    """As long as the longest of a batch: the mask keeps that from the answers."""
    behind = [layers.Embedding(400, 8, mask_zero=True), layers.GlobalAveragePooling1D(), layers.Dense(4, "softmax")]
    return _of_sentences(folder, layers.TextVectorization(400), behind)


def keras_texts_counted(folder: Path) -> Made:
    vectorize = layers.TextVectorization(400, output_mode="tf_idf")
    return _of_sentences(folder, vectorize, [layers.Dense(4, "softmax")])


def _of_sentences(folder: Path, vectorize: layers.TextVectorization, behind: Sequence[layers.Layer]) -> Made:
    texts = sentences()
    vectorize.adapt(texts.fit)
    model = keras.Sequential([keras.Input((1,), dtype="string"), vectorize, *behind])
    model.compile("adam", "sparse_categorical_crossentropy")
    given = keras.ops.convert_to_tensor(np.array(texts.fit, object)[:, None])
    model.fit(given, texts.fit_classes, epochs=2, verbose=0)
    model.save(folder / FILE)

    def answer(rows: Rows) -> Rows:
        return {PROBABILITIES: model.predict(keras.ops.convert_to_tensor(rows[TEXT]), verbose=0)}

    return Made(FILE, describe.text(PROBABILITIES), as_rows(texts.samples), texts.fresh(), answer)


def of_numbers(folder: Path, model: keras.Model, *, file: str = FILE) -> Made:
    """A classifier of scaled numbers."""
    table = wine(scaled=True)
    fit(model, table.fit_rows, table.fit_targets, "sparse_categorical_crossentropy")
    model.save(folder / file)
    return Made(
        file,
        describe.numbers(table.width, PROBABILITIES),
        {FEATURES: table.samples},
        table.fresh(),
        lambda rows: answers(model, rows, FEATURES, (PROBABILITIES,)),
    )


def of_images(folder: Path, model: keras.Model) -> Made:
    """A classifier of digits."""
    table = digits()
    fit(model, table.fit_rows, table.fit_targets, "sparse_categorical_crossentropy", epochs=2)
    model.save(folder / FILE)
    return Made(
        FILE,
        describe.image(8, PROBABILITIES),
        {IMAGE: table.samples},
        table.fresh_images(),
        lambda rows: answers(model, rows, IMAGE, (PROBABILITIES,)),
    )


def of_words(folder: Path, middle: Sequence[layers.Layer], *, mask_zero: bool = False) -> Made:
    """A classifier of words of any length."""
    embedding = layers.Embedding(VOCABULARY, 12, mask_zero=mask_zero)
    begin = keras.Input((None,), dtype="int32")
    return _words(folder, keras.Sequential([begin, embedding, *middle, layers.Dense(2, "softmax")]))


def _words(folder: Path, model: keras.Model) -> Made:
    chosen = words()
    fit(model, chosen.fit_ids.astype(np.int32), chosen.fit_classes, "sparse_categorical_crossentropy", epochs=2)
    model.save(folder / FILE)
    return Made(
        FILE,
        describe.token_ids(PROBABILITIES),
        {IDS: chosen.samples.astype(np.int32)},
        chosen.fresh(np.int32),
        lambda rows: answers(model, rows, IDS, (PROBABILITIES,)),
    )


def fit(model: keras.Model, rows: np.ndarray, targets: object, loss: object, *, epochs: int = 4) -> None:
    """Weights that are the data's own, from a seed."""
    keras.utils.set_random_seed(0)
    model.compile(keras.optimizers.Adam(0.01), loss=loss)
    model.fit(rows, targets, epochs=epochs, verbose=0)


def answers(model: keras.Model, rows: Rows, given: str, outputs: Sequence[str]) -> Rows:
    """Without `predict`, which traces anew for every length."""
    found = model(rows[given], training=False)
    return {
        name: np.asarray(answer)
        for name, answer in zip(outputs, found if isinstance(found, list) else [found], strict=True)
    }


def dense(hidden: int = 16, activation: str = "relu") -> keras.Model:
    """A fitted network of one hidden layer, for the file formats that Keras models become."""
    table = wine(scaled=True)
    model = keras.Sequential([keras.Input((13,)), layers.Dense(hidden, activation), layers.Dense(3, "softmax")])
    fit(model, table.fit_rows, table.fit_targets, "sparse_categorical_crossentropy")
    return model
