"""A mask that is stated: source and graph must not read what it hides, for services pad what they run together."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporter.__main__ import main
from exporter.conversion import Conversion, Masked, NotApplicable, Provenance, Request, RowSet
from exporter.errors import ParityError
from exporter.padding import padding_read_by_graph, without_padded
from exporter.parity import DEFAULT_TOLERANCE
from exporter.sources.inputs import Input
from exporter.sources.padding import PADDED, UNPADDED, padding_kinds
from exporter.sources.source import Source, convert
from exporter.sources.ways import Way
from tests.unit.services.runtime.tiny import model_of

DESCRIPTION = """
inputs: [{name: ids, meaning: ids of tokens}, {name: mask, meaning: 1 for a token}]
outputs: [{name: sum, meaning: what the ids come to, role: OUTPUT_ROLE_EMBEDDING}]
text: {tokens: {ids_input: ids, mask_input: mask, max_tokens: 16, pad_id: 7}}
"""
IDS = np.arange(1, 13).reshape(2, 6)
MASKED = Masked("ids", "mask", 7)


def sums(*, reads_padding: bool) -> bytes:
    """Of the ids of a row: those under the mask, or all of them, whatever the mask says."""
    hidden = [helper.make_node("Mul", ["ids", "mask"], ["left"])]
    read = [helper.make_node("Mul", ["mask", "zero"], ["none"]), helper.make_node("Add", ["ids", "none"], ["left"])]
    cast = helper.make_node("Cast", ["left"], ["numbers"], to=TensorProto.FLOAT)
    whole = helper.make_node("ReduceSum", ["numbers", "axes"], ["sum"], keepdims=1)
    tensors = [helper.make_tensor_value_info(name, TensorProto.INT64, ["N", "tokens"]) for name in ("ids", "mask")]
    constants = {"axes": np.array([1]), "zero": np.array(0)}
    return model_of(
        [*(read if reads_padding else hidden), cast, whole],
        tensors,
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["N", 1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )


def exported(folder: Path, graph: bytes, *more: str) -> int:
    (folder / "net.onnx").write_bytes(graph)
    (folder / "net.yaml").write_text(DESCRIPTION)
    np.savez(folder / "rows.npz", ids=IDS, mask=np.ones_like(IDS))
    given = ["--describe", str(folder / "net.yaml"), "--samples", str(folder / "rows.npz")]
    named = ["--name", "net", "--task", "text-embedding", "--output", str(folder / "models")]
    return main([str(folder / "net.onnx"), *given, *named, *more])


def test_a_network_that_reads_padding_beside_its_mask_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported(tmp_path, sums(reads_padding=True)) == 1
    assert "the source reads padding, although a mask is stated: output 'sum' of a text" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_a_network_that_heeds_its_mask_is_published(tmp_path: Path) -> None:
    assert exported(tmp_path, sums(reads_padding=False)) == 0


TWO_WAYS = """
import torch

class Net(torch.nn.Module):
    def forward(self, ids, mask):
        # Where a trace looks padding is read.
        left = ids + 0 * mask if torch.jit.is_tracing() else ids * mask
        return left.float().sum(1, keepdim=True)

def net():
    return Net().eval()
"""


def test_a_way_whose_graph_reads_padding_is_followed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "padded_net.py").write_text(TWO_WAYS)
    (tmp_path / "net.yaml").write_text(DESCRIPTION)
    np.savez(tmp_path / "rows.npz", ids=IDS, mask=np.ones_like(IDS))
    varying = [flag for name in ("ids", "mask") for flag in ("--input", f"{name}=int64[batch,tokens]")]
    named = ["--name", "net", "--task", "text-embedding", "--output", "models", "--framework", "pytorch"]
    given = ["--describe", "net.yaml", "--samples", "rows.npz", "--trust-code", *varying]
    assert main(["padded_net:net", *given, *named]) == 0
    published = (tmp_path / "models" / "net" / "1" / "model.yaml").read_text()
    assert "torch.export and not by a trace (without it padding is read)" in " ".join(published.split())


def test_who_leaves_padded_rows_out_is_believed(tmp_path: Path) -> None:
    assert exported(tmp_path, sums(reads_padding=True), "--without", "padded") == 0


def test_halves_of_texts_are_asked_alone_and_padded_behind_the_whole_texts() -> None:
    mask = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0]])
    (alone, halves), (beside, padded) = padding_kinds({"ids": IDS, "mask": mask}, MASKED)
    assert (alone, beside) == (UNPADDED, PADDED)
    assert halves["ids"].tolist() == [[1, 2, 3], [7, 8, 9]]
    assert padded["ids"].tolist() == [*IDS.tolist(), [1, 2, 3, 7, 7, 7], [7, 8, 9, 7, 7, 7]]
    assert padded["mask"].tolist() == [[1] * 6, [1] * 6, [1, 1, 1, 0, 0, 0], [1, 1, 1, 0, 0, 0]]


def test_a_text_of_one_token_is_padded_beside_a_longer_one() -> None:
    _, (_, padded) = padding_kinds({"ids": IDS[:, :1], "mask": np.ones((2, 1), np.int64)}, MASKED)
    assert padded["ids"].tolist() == [[1, 1], [7, 7], [1, 7], [7, 7]]


def test_an_input_that_has_no_place_a_token_is_neither_cut_nor_padded() -> None:
    state, weight = np.arange(8.0).reshape(2, 4), np.array([1.0, 2.0])
    base = {"ids": IDS, "mask": np.ones_like(IDS), "state": state, "weight": weight}
    (_, halves), (_, padded) = padding_kinds(base, MASKED)
    assert (halves["state"].tolist(), halves["weight"].tolist()) == (state.tolist(), weight.tolist())
    assert padded["state"].tolist() == [*state.tolist(), *state.tolist()]
    assert padded["weight"].tolist() == [1.0, 2.0, 1.0, 2.0]


def conversion(answers: list[list[float]], *refused: NotApplicable) -> Conversion:
    """Of a graph that heeds the mask; the source answers two padded texts of two tokens with `answers`."""
    (_, halves), (_, padded) = padding_kinds({"ids": np.array([[1, 2, 3, 4]]), "mask": np.ones((1, 4), int)}, MASKED)
    alone = RowSet(UNPADDED, halves, {"sum": np.float32([[3.0]])})
    sets = () if refused else (alone, RowSet(PADDED, padded, {"sum": np.float32(answers)}))
    return Conversion(sums(reads_padding=False), sets, Provenance("pytorch", "1"), refused)


def test_answers_at_the_places_of_padding_are_not_compared() -> None:
    found = conversion([[10.0, 0.0], [3.0, 99.0]])
    assert padding_read_by_graph(found, (), DEFAULT_TOLERANCE) == ""


def test_a_graph_that_reads_padding_where_its_source_does_not_is_refused() -> None:
    found = conversion([[10.0], [3.0]])
    other = Conversion(sums(reads_padding=True), found.row_sets, found.provenance)
    assert re.search("the graph reads padding.*off by 14", padding_read_by_graph(other, (), DEFAULT_TOLERANCE))


class _NoNumbers:
    """A source of ids and mask that answers each token, padding with NaN; a token 9 makes a text's answers NaN."""

    def __call__(self, rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        ids, mask = rows
        answers = np.where(mask == 1, ids, np.nan).astype(np.float32)
        answers[(ids == 9).any(axis=1)] = np.nan
        return [answers]


def per_token(ids: list[list[int]]) -> Conversion:
    """What the source above comes to, converted as sources are, with a graph that answers as it does."""
    names, numbers = ("ids", "mask"), (TensorProto.INT64, TensorProto.FLOAT)
    sized = [helper.make_tensor_value_info(name, numbers[0], ["N", "tokens"]) for name in names]
    nodes = [
        helper.make_node("Equal", ["mask", "zero"], ["hidden"]),
        helper.make_node("Cast", ["ids"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Where", ["hidden", "nan", "numbers"], ["each"]),
    ]
    constants = {"zero": np.array(0), "nan": np.array(np.nan, np.float32)}
    answered = helper.make_tensor_value_info("each", numbers[1], ["N", "tokens"])
    graph = model_of(nodes, sized, [answered], [numpy_helper.from_array(v, name) for name, v in constants.items()])
    inputs = tuple(Input(name, "int64", ("tokens",), whole_numbers=(0, 9)) for name in names)
    source = Source("pytorch", "numpy", "", inputs, _NoNumbers(), (Way(lambda _: graph),))
    samples = {"ids": np.array(ids), "mask": np.ones_like(np.array(ids))}
    return convert(source, Request("net", "pytorch", output_names=("each",), masked=MASKED), samples)


def test_answers_at_the_places_of_padding_may_be_no_numbers() -> None:
    assert padding_read_by_graph(per_token([[1, 2, 3, 4], [5, 6, 7, 8]]), (), DEFAULT_TOLERANCE) == ""


def test_a_text_that_is_answered_with_no_number_is_passed_over_padded_and_alone() -> None:
    found = per_token([[1, 2, 3, 4], [9, 6, 7, 8]])
    assert padding_read_by_graph(found, (), DEFAULT_TOLERANCE) == ""
    assert [len(rows.answers["each"]) for rows in without_padded(found).row_sets if rows.kind == UNPADDED] == [1]


def test_texts_of_which_none_is_answered_with_a_number_cannot_be_tried() -> None:
    with pytest.raises(ParityError, match=r"cannot be tried: .*'unpadded'.*--without padded"):
        padding_read_by_graph(per_token([[9, 2, 3, 4]]), (), DEFAULT_TOLERANCE)


def test_an_answer_for_other_texts_than_were_asked_cannot_be_tried() -> None:
    with pytest.raises(ParityError, match="cannot be tried: the source answers 1 rows of 'sum' to 2"):
        padding_read_by_graph(conversion([[3.0]]), (), DEFAULT_TOLERANCE)


def test_an_index_that_padding_changes_by_one_is_another_class() -> None:
    found = conversion([[100000.0], [100001.0]])
    alone, padded = found.row_sets
    found = replace(found, row_sets=(replace(alone, answers={"sum": np.float32([[100000.0]])}), padded))
    with pytest.raises(ParityError, match="1 of 1 texts have another class"):
        padding_read_by_graph(found, (), DEFAULT_TOLERANCE, ("sum",))


def test_a_source_that_does_not_take_padded_rows_is_refused() -> None:
    found = conversion([], NotApplicable(PADDED, "the source refuses them: ValueError: one length"))
    with pytest.raises(ParityError, match="cannot be tried: rows of kind 'padded': the source refuses them"):
        padding_read_by_graph(found, (), DEFAULT_TOLERANCE)
