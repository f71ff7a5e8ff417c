"""A Keras model that reads texts: its TextVectorization as a graph of its own, the layers behind it as another model.

tf2onnx has nothing for TensorFlow's texts. The layer's rule is known exactly, though, and where ONNX Runtime can follow
it the two graphs are joined; the comparison is with the whole model as it is. TensorFlow lowers ASCII letters alone,
takes out ASCII marks and splits at ASCII's white space, which is just what can be done.
"""

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras

from exporter import keras as keras_export
from exporter.errors import SourceError
from exporter.graph import finish, parse
from exporter.join import join
from exporter.sources.inputs import TEXT, Input
from exporter.sources.ways import Remedy
from exporter.words import IDS, WordIds

REMEDY = Remedy("TextVectorization written as operators that split, look up and pad")
_LOWER, _STRIP, _BOTH = "lower", "strip_punctuation", "lower_and_strip_punctuation"
# Keras' own ids.
_PADDING, _UNKNOWN = 0, 1


@dataclass(frozen=True, slots=True)
class TextModel:
    """The two halves of a model that begins with TextVectorization."""

    words: WordIds
    rest: keras.Model

    def input(self) -> Input:
        return Input("text", TEXT, (1,), categories=tuple(self.words.words), has_words=True)

    def graph(self, text: str, outputs: Sequence[str | None]) -> bytes:
        back = keras_export.convert(self.rest, [IDS], outputs)
        whole = join(self.words.graph(), back, {IDS: IDS})
        return finish(parse(whole), [text], [name for name in outputs if name is not None])


def text_model(network: keras.Model) -> TextModel | None:
    """None where the model reads no texts. Raises SourceError where it does so in a way that no graph can follow."""
    found = [layer for layer in network.layers if isinstance(layer, keras.layers.TextVectorization)]
    if not found:
        return None
    if len(found) > 1 or len(keras_export.inputs_of(network)) != 1:
        raise SourceError(
            "a Keras model with TextVectorization is exported where that is its first layer and only input"
        )
    return TextModel(_word_ids(found[0]), _behind(network, found[0]))


def _word_ids(layer: keras.layers.TextVectorization) -> WordIds:
    config = layer.get_config()
    standardize, length = config["standardize"], config["output_sequence_length"]
    _refuse_others(config)
    words = layer.get_vocabulary(include_special_tokens=False)
    first = _UNKNOWN + 1
    return WordIds(
        words=[str(word) for word in words],
        ids=range(first, first + len(words)),
        unknown=_UNKNOWN,
        padding=_PADDING,
        length=length,
        lower_ascii=standardize in {_LOWER, _BOTH},
        marks=string.punctuation if standardize in {_STRIP, _BOTH} else "",
    )


def _refuse_others(config: Mapping[str, object]) -> None:
    """What has no operators: code of the user's own, other ways to split, counts of words instead of ids."""
    standardize, mode = config["standardize"], config["output_mode"]
    if not (standardize is None or standardize in (_LOWER, _STRIP, _BOTH)):
        raise SourceError("TextVectorization with a 'standardize' of your own cannot be converted: use one of Keras'")
    if config["split"] != "whitespace" or config["ngrams"] is not None or config["ragged"]:
        raise SourceError(
            "TextVectorization is converted with split='whitespace', no ngrams and ragged=False: train it so, or make"
            " the features by scikit-learn and --preprocess"
        )
    if mode != "int":
        raise SourceError(
            f"TextVectorization with output_mode='{mode}' cannot be converted: count words by scikit-learn's"
            " CountVectorizer or TfidfVectorizer and --preprocess"
        )


def _behind(network: keras.Model, layer: keras.layers.TextVectorization) -> keras.Model:
    """The same layers, reading ids."""
    if network.layers.index(layer) > (0 if isinstance(network, keras.Sequential) else 1):
        raise SourceError("TextVectorization is converted where it is the first layer")
    if isinstance(network, keras.Sequential):
        length = layer.get_config()["output_sequence_length"]
        return keras.Sequential([keras.Input((length,), dtype="int64"), *network.layers[1:]])
    return keras.Model(layer.output, network.outputs)
