"""A tokenizer.json before a network: looked up as the library does it, or left to the service."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

from exporter.conversion import Request
from exporter.errors import SourceError
from exporter.run_graph import run_graph
from exporter.sniff import kind_of
from exporter.sources.source import convert
from exporter.sources.tokenizers import from_file

VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "good": 2, "day": 3, "École": 4}
TEXTS = (
    *(
        "good day",
        "Good day École",
        "good\xa0day\u3000x\u2009day",
        "x\x1cday\x85day",
        "[PAD] good[PAD]day",
        "",
        "\u200bday",
    ),
    *("day " * 40, " good\r\n\tday\x0b\x0c", "a\u1680b\u2028c\u2029d\u202fe\u205ff"),
)


def tokenizer(length: int | None = 6) -> Tokenizer:
    made = Tokenizer(models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.enable_padding(pad_id=0, pad_token="[PAD]", length=length)
    if length is not None:
        made.enable_truncation(length)
    return made


def saved(made: Tokenizer, folder: Path) -> Path:
    path = folder / "tokenizer.json"
    made.save(str(path))
    return path


@pytest.mark.parametrize("length", [6, None], ids=["cut to a length", "any length"])
def test_ids_are_those_of_the_library(tmp_path: Path, length: int | None) -> None:
    made = tokenizer(length)
    path = saved(made, tmp_path)
    assert kind_of(str(path)).framework == "tokenizers"
    request = Request(str(path), "tokenizers", is_read_on=True)
    conversion = convert(from_file(path, request, {}), request, {})
    found = run_graph(conversion.graph, {"text": np.array(TEXTS, object)[:, None]})["preprocessed"]
    assert found.tolist() == [row.ids for row in made.encode_batch(list(TEXTS))]


def with_added_token(made: Tokenizer) -> None:
    made.add_special_tokens([AddedToken("[PAD]")])


def with_lower_case(made: Tokenizer) -> None:
    made.normalizer = normalizers.Lowercase()


def with_marks_split(made: Tokenizer) -> None:
    made.pre_tokenizer = pre_tokenizers.Whitespace()


def with_ends(made: Tokenizer) -> None:
    made.post_processor = processors.TemplateProcessing(single="[UNK] $0", special_tokens=[("[UNK]", 1)])


def with_another_cut(made: Tokenizer) -> None:
    made.enable_truncation(4)


def with_padding_at_the_left(made: Tokenizer) -> None:
    made.enable_padding(direction="left", length=6)


def without_padding(made: Tokenizer) -> None:
    made.no_padding()


def of_pieces(made: Tokenizer) -> None:
    made.model = models.WordPiece(VOCABULARY, unk_token="[UNK]")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (with_added_token, r"finds its added tokens \(\[PAD\]\) inside of words"),
        (with_lower_case, "has the normalizer Lowercase, which no graph can follow"),
        (with_marks_split, "can split at white space alone"),
        (with_ends, "has the post_processor TemplateProcessing"),
        (with_another_cut, "pads to the length that it cuts to"),
        (with_padding_at_the_left, "pads or cuts at the left"),
        (without_padding, "does not pad"),
        (of_pieces, "is of WordPiece: a graph can look up whole words"),
    ],
)
def test_what_no_graph_can_follow_is_refused(tmp_path: Path, change: Callable[[Tokenizer], None], says: str) -> None:
    made = tokenizer()
    change(made)
    path = saved(made, tmp_path)
    with pytest.raises(SourceError, match=says):
        from_file(path, Request(str(path), "tokenizers"), {})


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = saved(tokenizer(), tmp_path)
    content = json.loads(path.read_text())
    del content["model"]["vocab"]
    path.write_text(json.dumps(content))
    with pytest.raises(SourceError, match="cannot be loaded by tokenizers"):
        from_file(path, Request(str(path), "tokenizers"), {})
