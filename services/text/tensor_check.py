"""What a text model must not get from callers that send its tensors by themselves, with ModelInfer.

What Classify, Embed and Tag hold to by reading texts themselves is checked here: no row has more tokens than the model
reads, nor none, and no text is longer than it may be there. Whether an id is in the vocabulary the graph itself finds.
"""

from collections.abc import Mapping

from argosy.v1.manifest_pb2 import ModelManifest
from services.runtime.errors import invalid_input
from services.runtime.front import Array
from services.runtime.typed_method import TensorCheck
from services.text.reading import MAX_TEXT_BYTES


def tensor_check(manifest: ModelManifest) -> TensorCheck:
    """The check of a model whose preprocessing is as `typed_methods` wants it."""
    tokens = manifest.text.tokens
    if not tokens.ids_input:
        return lambda inputs: _check_texts(manifest.text.string.input, inputs)
    return lambda inputs: _check_tokens(tokens.ids_input, tokens.max_tokens, inputs)


def _check_texts(name: str, inputs: Mapping[str, Array]) -> tuple[str, ...]:
    for row, text in enumerate(inputs[name].ravel().tolist()):
        if len(text) > MAX_TEXT_BYTES:
            message = f"input '{name}': row {row}: expected at most {MAX_TEXT_BYTES} bytes of UTF-8, got {len(text)}"
            raise invalid_input(message, f"inputs.{name}", "TEXT_TOO_LONG")
    return ()


def _check_tokens(ids: str, max_tokens: int, inputs: Mapping[str, Array]) -> tuple[str, ...]:
    width = inputs[ids].shape[1]
    if not 1 <= width <= max_tokens:
        message = f"input '{ids}': from 1 to {max_tokens} tokens a row are needed, got {width}"
        raise invalid_input(message, f"inputs.{ids}", "TEXT_TOO_LONG" if width else "EMPTY_TEXT")
    for name, array in inputs.items():
        if array.ndim == 2 and array.shape[1] != width:
            message = f"input '{name}': {width} tokens a row are needed as in '{ids}', got {array.shape[1]}"
            raise invalid_input(message, f"inputs.{name}")
    return ()
