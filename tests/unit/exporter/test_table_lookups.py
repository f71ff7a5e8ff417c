"""Which inputs the manifest says are indices of a table. What converters make of embeddings: `test_converters.py`."""

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporter.signature import Meaning, tensor_specs
from exporter.table_lookups import table_entries
from tests.unit.services.runtime.tiny import model_of

node = helper.make_node

# Tables of 7 words, of 3, and one that is five wide; and numbers.
CONSTANTS = {
    "words": np.ones((7, 2), np.float32),
    "few": np.ones((3, 2), np.float32),
    "wide": np.ones((2, 5), np.float32),
    "zero": np.array([0]),
    "one": np.array([1]),
    "seven": np.array([7]),
    "offsets": np.array([0, 3]),
}


def graph_of(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    """ids INT64 [rows, 2] -> y."""
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["rows", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    constants = [numpy_helper.from_array(value, name) for name, value in CONSTANTS.items()]
    return onnx.load_from_string(model_of(list(nodes), [ids], [y], constants))


def entries(*nodes: onnx.NodeProto) -> dict[str, int]:
    return table_entries(graph_of(*nodes))


def test_an_input_that_is_looked_up_has_as_many_entries_as_the_table() -> None:
    assert entries(node("Gather", ["words", "ids"], ["y"])) == {"ids": 7}


def test_the_axis_that_is_looked_up_counts() -> None:
    assert entries(node("Gather", ["wide", "ids"], ["y"], axis=1)) == {"ids": 5}


def test_of_two_tables_the_shorter_counts() -> None:
    two = [node("Gather", ["words", "ids"], ["long"]), node("Gather", ["few", "ids"], ["short"])]
    assert entries(*two, node("Add", ["long", "short"], ["y"])) == {"ids": 3}


@pytest.mark.parametrize(
    "steps",
    [
        [node("Cast", ["ids"], ["moved"], to=TensorProto.INT32)],
        [node("Unsqueeze", ["ids", "one"], ["moved"])],
        [
            node("Less", ["ids", "zero"], ["is_negative"]),
            node("Add", ["ids", "seven"], ["from_the_end"]),
            node("Where", ["is_negative", "from_the_end", "ids"], ["moved"]),
        ],
    ],
    ids=["another type", "another shape", "counting from the end by itself"],
)
def test_what_leaves_an_index_as_it_is_is_looked_through(steps: Sequence[onnx.NodeProto]) -> None:
    assert entries(*steps, node("Gather", ["words", "moved"], ["y"])) == {"ids": 7}


@pytest.mark.parametrize(
    "step",
    [
        node("Add", ["ids", "one"], ["moved"]),
        node("Add", ["ids", "offsets"], ["moved"]),
        node("Mod", ["ids", "seven"], ["moved"]),
        node("Slice", ["ids", "zero", "one", "one"], ["moved"]),
    ],
    ids=["shifted", "shifted by columns", "that wraps", "cut out"],
)
def test_of_an_index_that_the_graph_computes_first_nothing_is_said(step: onnx.NodeProto) -> None:
    assert entries(step, node("Gather", ["words", "moved"], ["y"])) == {}


def test_a_table_that_is_kept_in_another_type_counts() -> None:
    table = node("Cast", ["few"], ["wider"], to=TensorProto.DOUBLE)
    found = [node("Gather", ["wider", "ids"], ["found"]), node("Cast", ["found"], ["y"], to=TensorProto.FLOAT)]
    assert entries(table, *found) == {"ids": 3}


def test_the_manifest_says_it() -> None:
    model = onnx.shape_inference.infer_shapes(graph_of(node("Gather", ["words", "ids"], ["y"])))
    meanings = {"ids": Meaning("words"), "y": Meaning("vectors", role=6)}
    [ids], [y] = tensor_specs(model.SerializeToString(), meanings)
    assert (ids.table_entries, y.table_entries) == (7, 0)
