"""The reference models by name. Knowing them imports no framework; a model's module is imported in its own process."""

from collections.abc import Mapping

REFERENCE_MODELS: Mapping[str, str] = {
    "digits": "training.digits",
    "digits-functional": "training.digits_functional",
    "sentiment": "training.sentiment",
    "word-language": "training.word_language",
    "diabetes": "training.diabetes",
    "income": "training.income",
    "mobilenet": "training.mobilenet",
    "minilm": "training.minilm",
    "faces": "training.faces",
    "grammar": "training.grammar",
}
