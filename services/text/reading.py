"""Texts to what the graph reads: token ids by the version's own tokenizer, or the texts themselves.

A text is measured before it is tokenised, because tokenising costs by the byte what nobody has paid for yet. Longer
texts than the network reads are cut at the end by the tokenizer, which keeps its special tokens, and the reply says so.
Characters are passed on as they are, NUL too: what becomes of them is the tokenizer's rule or the graph's, as it was in
training (BERT's tokenizers drop NUL; others call it unknown). Ids are padded to the longest text of the
batch; a graph without a mask would read the padding as words, so it is run on texts of one length at a time.

Of a long text only the beginning is tokenised: 1 MiB takes seconds and hundreds of megabytes, and the network reads its
first few hundred tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from argosy.v1.manifest_pb2 import ModelManifest, TokenReading
from argosy.v1.text_pb2 import TextReading
from services.runtime.errors import empty_request, invalid_input, refused_load
from services.runtime.front import Array
from services.runtime.shaping import MAX_PADDING

MAX_TEXT_BYTES = 1 << 20

# Prose has four to five characters a token: this much of a text is mostly several times what the network reads.
_HEAD_CHARACTERS_A_TOKEN = 16


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the network reads of one text: ids, places in the text in code points, which ones the tokenizer added."""

    ids: list[int]
    offsets: list[tuple[int, int]]
    special: list[int]
    truncated: bool


@dataclass(frozen=True, slots=True)
class TextRequest:
    """The texts of one request; `tokens` is empty where the graph reads texts whole."""

    texts: tuple[str, ...]
    tokens: tuple[Tokens, ...] = ()
    top_k: int = 0

    def readings(self) -> list[TextReading]:
        """How much of each text the model reads."""
        if not self.tokens:
            return [TextReading() for _ in self.texts]
        return [TextReading(token_count=len(read.ids), truncated=read.truncated) for read in self.tokens]

    def mask(self, width: int) -> NDArray[np.bool_]:
        """True for a token, False for padding, [texts, width]."""
        return np.arange(width) < np.array([len(read.ids) for read in self.tokens])[:, np.newaxis]


class TextReader(Protocol):
    """How one model reads texts."""

    def read(self, texts: Sequence[str], top_k: int = 0) -> TextRequest:
        """Check the texts of a request and read them. Raises ServingError (INVALID_INPUT) that names a bad one."""

    def collate(self, requests: Sequence[TextRequest]) -> dict[str, Array]:
        """The graph's inputs for the texts of all requests."""


@dataclass(frozen=True, slots=True)
class StringReader:
    """The graph takes the text itself: a BYTES tensor [N, 1] of UTF-8."""

    input: str

    def read(self, texts: Sequence[str], top_k: int = 0) -> TextRequest:
        return TextRequest(checked(texts), top_k=top_k)

    def collate(self, requests: Sequence[TextRequest]) -> dict[str, Array]:
        texts = [text.encode() for request in requests for text in request.texts]
        return {self.input: np.array(texts, np.object_).reshape(-1, 1)}


@dataclass(frozen=True, slots=True)
class TokenReader:
    """The graph takes token ids, [N, tokens] of `dtype`."""

    spec: TokenReading
    tokenizer: Tokenizer
    dtype: np.dtype[np.generic]

    def read(self, texts: Sequence[str], top_k: int = 0) -> TextRequest:
        kept = checked(texts)
        heads = self.tokenizer.encode_batch([text[: self._head_length] for text in kept])
        tokens = tuple(self._tokens(text, head) for text, head in zip(kept, heads, strict=True))
        for i, read in enumerate(tokens):
            if not read.ids:
                field = f"texts[{i}]"
                raise invalid_input(f"{field}: expected at least one token, got none", field, "EMPTY_TEXT")
        return TextRequest(kept, tokens, top_k)

    def collate(self, requests: Sequence[TextRequest]) -> dict[str, Array]:
        rows = [read.ids for request in requests for read in request.tokens]
        ids = np.full((len(rows), max(map(len, rows))), self.spec.pad_id, self.dtype)
        mask = np.zeros_like(ids)
        for row, row_ids in enumerate(rows):
            ids[row, : len(row_ids)] = row_ids
            mask[row, : len(row_ids)] = 1
        inputs: dict[str, Array] = {self.spec.ids_input: ids}
        if self.spec.mask_input:
            inputs[self.spec.mask_input] = mask
        if self.spec.types_input:
            inputs[self.spec.types_input] = np.zeros_like(ids)
        return inputs

    @property
    def _head_length(self) -> int:
        return self.spec.max_tokens * _HEAD_CHARACTERS_A_TOKEN

    def _tokens(self, text: str, head: Encoding) -> Tokens:
        """The text's tokens from `head`, the encoding of its beginning, or of a longer one where that is too little."""
        length = self._head_length
        # Twice what the network reads: a word that the head's end cuts in two is then beyond what counts.
        while length < len(text) and len(head.overflowing) < 2:
            length *= 4
            head = self.tokenizer.encode(text[:length])
        return Tokens(head.ids, head.offsets, head.special_tokens_mask, bool(head.overflowing))


def checked(texts: Sequence[str]) -> tuple[str, ...]:
    """At least one text, each of at most 1 MiB, or ServingError (INVALID_INPUT)."""
    if not texts:
        raise empty_request("texts")
    for i, text in enumerate(texts):
        size = len(text.encode())
        if size > MAX_TEXT_BYTES:
            message = f"texts[{i}]: expected at most {MAX_TEXT_BYTES} bytes of UTF-8, got {size}"
            raise invalid_input(message, f"texts[{i}]", "TEXT_TOO_LONG")
    return tuple(texts)


def token_counts(requests: Sequence[TextRequest]) -> list[int]:
    """Of each text of all requests; empty where the graph reads texts whole."""
    return [len(read.ids) for request in requests for read in request.tokens]


def padding_limit(manifest: ModelManifest) -> float:
    """Of the tokens that the graph is run on, how many may be padding: none where no mask tells it which ones are."""
    return MAX_PADDING if manifest.text.tokens.mask_input else 0.0


def load_tokenizer(path: Path, max_tokens: int) -> Tokenizer:
    """The tokenizer of `path`, cutting at `max_tokens` (special ones included) and padding nothing by itself.

    Raises ServingError (REFUSED_LOAD) where it cuts at the left: of a long text only the beginning is tokenised.
    """
    tokenizer = Tokenizer.from_file(str(path))
    if tokenizer.truncation is not None and tokenizer.truncation["direction"] == "left":
        raise refused_load(
            "BAD_MANIFEST",
            f"{path.name} cuts long texts at the left, and the service at the right: train with texts that are cut at"
            " the right",
        )
    tokenizer.enable_truncation(max_tokens)
    tokenizer.no_padding()
    return tokenizer
