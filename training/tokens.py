"""Texts as rows of token ids, for models that come with a tokenizer.json.

The service cuts texts and fills up the shorter ones of a batch. A tokenizer file that does so as well, which packages
ship, would fill every text to one length and lose what is behind it without a word: `published` switches both off.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

TokenIds: TypeAlias = NDArray[np.int64]

TOKENIZER_FILE = "tokenizer.json"
PAD_ID = 0


@dataclass(frozen=True, slots=True)
class TokenRows:
    """Texts of one batch: ids and mask int64[N, T]; the mask is 1 for a token and 0 for padding."""

    ids: TokenIds
    mask: TokenIds


def published(tokenizer: bytes) -> bytes:
    """The tokenizer.json as a version holds it: it neither cuts nor fills up."""
    settings = json.loads(tokenizer)
    settings["truncation"] = settings["padding"] = None
    return json.dumps(settings, ensure_ascii=False).encode()


def encode(tokenizer: bytes, texts: Sequence[str], width: int = 0) -> TokenRows:
    """All texts as one batch, as wide as its longest text or as `width` where that is more."""
    encodings = Tokenizer.from_str(tokenizer.decode()).encode_batch(list(texts))
    width = max([width, *(len(encoding.ids) for encoding in encodings)])
    ids = np.full((len(encodings), width), PAD_ID, np.int64)
    mask = np.zeros_like(ids)
    for row, encoding in enumerate(encodings):
        ids[row, : len(encoding.ids)] = encoding.ids
        mask[row, : len(encoding.ids)] = 1
    return TokenRows(ids, mask)


def token_texts(tokenizer: bytes, texts: Sequence[str]) -> list[list[str]]:
    """The tokens of each text as they are written in the vocabulary."""
    return [encoding.tokens for encoding in Tokenizer.from_str(tokenizer.decode()).encode_batch(list(texts))]
