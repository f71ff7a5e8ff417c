"""Words to ids inside a graph: texts are split where the separators are, words looked up, rows padded to one length.

What ONNX Runtime can do exactly, and nothing near it: lower case of ASCII letters alone, separators that are single
characters, marks that are taken out wherever they stand. Whether a source's own rule is one of these is for the module
of the source to say. The tokenizer is ONNX Runtime's own (ONNX's StringSplit splits at the space alone). There is no
operator that takes characters out of a text, so those that stay are put together again, in pairs, then pairs of pairs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from exporter.graph import BATCH, OPSET, finish

ASCII_SPACES = (" ", "\t", "\n", "\x0b", "\x0c", "\r")
# What Unicode calls white space, less the four control characters that only Python does.
UNICODE_SPACES = (
    *ASCII_SPACES,
    *("\x85", "\xa0", "\u1680", *map(chr, range(0x2000, 0x200B)), "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"),
)
# StringConcat, which marks need, is of this one.
_OPSET_OF_MARKS = 20
_ML_OPSET = 3
# Fills the rows of words that are shorter than the longest; no word is empty.
_NO_WORD = ""
TEXT, IDS = "text", "ids"


@dataclass(frozen=True, slots=True)
class WordIds:
    """`words` with their ids; any other is `unknown`. `length` None: as long as the longest row of the batch."""

    words: Sequence[str]
    ids: Sequence[int]
    unknown: int
    padding: int = 0
    separators: Sequence[str] = ASCII_SPACES
    length: int | None = None
    lower_ascii: bool = False
    # Characters that are taken out before the text is split.
    marks: str = ""

    def graph(self) -> bytes:
        """`text` STRING [N, 1] -> `ids` INT64 [N, length]."""
        nodes = [*self._nodes()]
        texts = helper.make_tensor_value_info(TEXT, TensorProto.STRING, [BATCH, 1])
        size = "tokens" if self.length is None else self.length
        answered = helper.make_tensor_value_info(IDS, TensorProto.INT64, [BATCH, size])
        # ONNX knows no Tokenizer: without this its shape inference meets an operator's unknown output and crashes.
        known = [
            helper.make_tensor_value_info(name, TensorProto.STRING, [BATCH, 1, f"{name}_found"])
            for name in ("words", "characters")
        ]
        graph = helper.make_graph(nodes, "words", [texts], [answered], _constants(self), value_info=known)
        opset = _OPSET_OF_MARKS if self.marks else OPSET
        domains = [("", opset), ("ai.onnx.ml", _ML_OPSET), ("com.microsoft", 1)]
        imports = [helper.make_opsetid(domain, version) for domain, version in domains]
        model = helper.make_model(graph, opset_imports=imports, ir_version=helper.find_min_ir_version_for(imports[:2]))
        return finish(model, [TEXT], [IDS])

    def _nodes(self) -> Iterator[onnx.NodeProto]:
        yield helper.make_node("Squeeze", [TEXT, "one"], ["plain"])
        text = "plain"
        if self.marks:
            yield from _without_marks(text, self.marks)
            text = "unmarked"
        if self.lower_ascii:
            yield helper.make_node("StringNormalizer", [text], ["lower"], case_change_action="LOWER", locale="C")
            text = "lower"
        yield helper.make_node("Unsqueeze", [text, "one"], ["column"])
        yield _tokenizer("column", "words", list(self.separators), _NO_WORD)
        yield helper.make_node("Squeeze", ["words", "one"], ["row_of_words"])
        table = dict(zip(self.words, self.ids, strict=True)) | {_NO_WORD: self.padding}
        found = IDS if self.length is None else "all_ids"
        yield helper.make_node(
            "LabelEncoder",
            ["row_of_words"],
            [found],
            domain="ai.onnx.ml",
            keys_strings=list(table),
            values_int64s=list(table.values()),
            default_int64=self.unknown,
        )
        if self.length is not None:
            yield helper.make_node("Pad", [found, "room", "padding"], ["padded"])
            yield helper.make_node("Slice", ["padded", "zero", "length", "one"], [IDS])


def _tokenizer(text: str, output: str, separators: Sequence[str], padding: str) -> onnx.NodeProto:
    """[N, 1] -> [N, 1, longest]."""
    return helper.make_node(
        "Tokenizer",
        [text],
        [output],
        domain="com.microsoft",
        separators=separators,
        mark=0,
        mincharnum=1,
        pad_value=padding,
    )


def _without_marks(text: str, marks: str) -> Iterator[onnx.NodeProto]:
    """[N] -> [N]: each character by itself, the marks made empty, the rest joined."""
    yield helper.make_node("Unsqueeze", [text, "one"], ["marked"])
    yield _tokenizer("marked", "characters", [""], "")
    yield helper.make_node("Squeeze", ["characters", "one"], ["row_of_characters"])
    yield helper.make_node(
        "LabelEncoder",
        ["row_of_characters"],
        ["is_mark"],
        domain="ai.onnx.ml",
        keys_strings=list(marks),
        values_int64s=[1] * len(marks),
        default_int64=0,
    )
    yield helper.make_node("Cast", ["is_mark"], ["is_taken_out"], to=TensorProto.BOOL)
    yield helper.make_node("Where", ["is_taken_out", "empty", "row_of_characters"], ["kept_some"])
    yield helper.make_node("Shape", [text], ["count"])
    yield helper.make_node("Concat", ["count", "one"], ["a_column"], axis=0)
    yield helper.make_node("Expand", ["empty", "a_column"], ["nothing"])
    yield helper.make_node("Concat", ["nothing", "kept_some"], ["kept"], axis=1)  # at least one character
    yield helper.make_node("Loop", ["", "true", "kept"], ["joined"], body=_pairs())
    yield helper.make_node("Squeeze", ["joined", "one"], ["unmarked"])


def _pairs() -> onnx.GraphProto:
    """[N, width] -> [N, width / 2]: neighbours joined, until there is one. A width that is odd gets an empty text."""
    nodes = [
        helper.make_node("Shape", ["parts"], ["width"], start=1),
        helper.make_node("Mod", ["width", "two"], ["odd"]),
        helper.make_node("Shape", ["parts"], ["rows"], start=0, end=1),
        helper.make_node("Concat", ["rows", "odd"], ["missing"], axis=0),
        helper.make_node("Expand", ["empty", "missing"], ["filler"]),
        helper.make_node("Concat", ["parts", "filler"], ["even"], axis=1),
        helper.make_node("Slice", ["even", "zero", "end", "one", "two"], ["left"]),
        helper.make_node("Slice", ["even", "one", "end", "one", "two"], ["right"]),
        helper.make_node("StringConcat", ["left", "right"], ["joined_pairs"]),
        helper.make_node("Greater", ["width", "two"], ["are_more"]),
        helper.make_node("Squeeze", ["are_more"], ["goes_on"]),
    ]
    return helper.make_graph(
        nodes,
        "pairs",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("went_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("parts", TensorProto.STRING, None),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("joined_pairs", TensorProto.STRING, None),
        ],
    )


def _constants(given: WordIds) -> list[onnx.TensorProto]:
    numbers = {
        "zero": [0],
        "one": [1],
        "two": [2],
        "end": [np.iinfo(np.int64).max],
        "room": [0, 0, 0, given.length or 0],
        "length": [given.length or 0],
    }
    constants = [numpy_helper.from_array(np.array(values, np.int64), name) for name, values in numbers.items()]
    constants.append(numpy_helper.from_array(np.array(given.padding, np.int64), "padding"))
    constants.append(numpy_helper.from_array(np.array(True), "true"))
    constants.append(numpy_helper.from_array(np.array([""], object), "empty"))
    return constants
