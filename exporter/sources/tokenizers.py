"""A tokenizer.json of the `tokenizers` library, as the part before a network that reads ids.

Words of a table, split at white space, are all that a graph can follow exactly: no operator merges the pieces of BPE or
WordPiece, lowers what is not ASCII or finds an added token inside a word. The rest is left to the text service, which
runs the library itself.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import tokenizers

from exporter.arrays import Array, Rows
from exporter.conversion import Request
from exporter.errors import SourceError
from exporter.foreign import told
from exporter.graph import finish, parse
from exporter.sources.inputs import TEXT, Input
from exporter.sources.source import Source
from exporter.sources.ways import Naming, Way
from exporter.words import UNICODE_SPACES, WordIds

# A tokenizer.json is whatever its writer made of it.
Json: TypeAlias = dict[str, Any]

_INSTEAD = (
    "leave it to the service: without --preprocess, with --file tokenizer.json and text.tokens in the description"
)


def from_file(path: Path, request: Request, samples: Rows) -> Source:  # noqa: ARG001 - a framework's module
    text = path.read_text(encoding="utf-8")
    try:
        tokenizer = tokenizers.Tokenizer.from_str(text)
    except Exception as error:  # the library raises nothing more exact
        raise SourceError(f"{path.name} cannot be loaded by tokenizers: {told(error)}") from error
    words = _words(json.loads(text), path.name)

    def to_graph(naming: Naming) -> bytes:
        return finish(parse(words.graph()), naming.input_names, naming.outputs)

    return Source(
        framework="tokenizers",
        distribution="tokenizers",
        converter="",
        inputs=(Input("text", TEXT, (1,), categories=tuple(words.words), has_words=True),),
        answer=lambda rows: [_ids(tokenizer, rows[0])],
        ways=(Way(to_graph),),
        outputs=("ids",),
    )


def from_object(model: object, request: Request, samples: Rows) -> Source:  # noqa: ARG001 - a framework's module
    raise SourceError("a tokenizer is given as its tokenizer.json")


def _ids(tokenizer: tokenizers.Tokenizer, texts: Array) -> Array:
    encoded = tokenizer.encode_batch([str(text) for text in texts.reshape(-1).tolist()])
    return np.array([row.ids for row in encoded], np.int64).reshape(len(texts), -1)


def _words(found: Json, name: str) -> WordIds:
    """Raises SourceError that says what no graph can follow, and what to do instead."""
    model, padding, cut = found["model"], found.get("padding"), found.get("truncation")
    _refuse_others(found, name)
    if padding is None:
        raise SourceError(f"{name} does not pad, and the rows of a batch need one length: enable_padding")
    fixed = padding["strategy"].get("Fixed") if isinstance(padding["strategy"], Mapping) else None
    if (cut is not None and (fixed is None or cut["max_length"] != fixed)) or (cut is None and fixed is not None):
        raise SourceError(
            f"{name}: a graph pads to the length that it cuts to: enable_padding and enable_truncation with one length,"
            " or neither a length nor truncation"
        )
    vocabulary = model["vocab"]
    return WordIds(
        words=list(vocabulary),
        ids=list(vocabulary.values()),
        unknown=vocabulary[model["unk_token"]],
        padding=padding["pad_id"],
        separators=UNICODE_SPACES,
        length=fixed,
    )


def _refuse_others(found: Json, name: str) -> None:
    model, padding, cut = found["model"], found.get("padding") or {}, found.get("truncation") or {}
    if model["type"] != "WordLevel" or model["unk_token"] not in model["vocab"]:
        raise SourceError(
            f"{name} is of {model['type']}: a graph can look up whole words (WordLevel) alone; {_INSTEAD}"
        )
    if (found.get("pre_tokenizer") or {}).get("type") != "WhitespaceSplit":
        raise SourceError(f"{name}: a graph can split at white space alone (WhitespaceSplit); {_INSTEAD}")
    for part in ("normalizer", "post_processor"):
        if found.get(part) is not None:
            raise SourceError(f"{name} has the {part} {found[part]['type']}, which no graph can follow; {_INSTEAD}")
    if found.get("added_tokens"):
        some = ", ".join(token["content"] for token in found["added_tokens"][:4])
        raise SourceError(
            f"{name} finds its added tokens ({some}) inside of words as well, which no graph can follow: save it with"
            f" these in the vocabulary alone, or {_INSTEAD}"
        )
    if padding.get("direction", "Right") != "Right" or cut.get("direction", "Right") != "Right":
        raise SourceError(f"{name} pads or cuts at the left: a graph does it at the right")
    if padding.get("pad_to_multiple_of"):
        raise SourceError(f"{name} pads to multiples: a graph pads to one length")
