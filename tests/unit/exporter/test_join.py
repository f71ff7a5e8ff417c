"""Two graphs become one: their versions of ONNX, their names, their number types."""

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporter.errors import GraphError
from exporter.graph import finish, opset_of, parse
from exporter.join import join
from exporter.run_graph import run_graph

ROWS = np.float32([[1, -2], [0.5, 3], [0, 0]])


def part(
    nodes: Sequence[onnx.NodeProto],
    names: tuple[str, str],
    *,
    opset: int = 18,
    types: tuple[int, int] = (TensorProto.FLOAT, TensorProto.FLOAT),
    ml: int = 0,
) -> bytes:
    """A graph of one input 'x' [N, 2] and one output 'y' [N, 2], its nodes given, finished under `names`."""
    graph = helper.make_graph(
        nodes,
        "part",
        [helper.make_tensor_value_info("x", types[0], ["n", 2])],
        [helper.make_tensor_value_info("y", types[1], ["n", 2])],
        [numpy_helper.from_array(np.float32([10, 100]), "features")],
    )
    imports = [helper.make_opsetid("", opset), *([helper.make_opsetid("ai.onnx.ml", ml)] if ml else [])]
    return finish(helper.make_model(graph, opset_imports=imports, ir_version=8), [names[0]], [names[1]])


def scaling(**given: int) -> bytes:
    return part([helper.make_node("Mul", ["x", "features"], ["y"])], ("numbers", "scaled"), **given)


def negating(**given: int) -> bytes:
    return part([helper.make_node("Neg", ["x"], ["y"])], ("features", "negative"), **given)


def test_the_whole_reads_as_the_first_and_answers_as_the_second() -> None:
    whole = join(scaling(), negating(), {"scaled": "features"})
    np.testing.assert_array_equal(run_graph(whole, {"numbers": ROWS})["negative"], -(ROWS * np.float32([10, 100])))


@pytest.mark.parametrize(("first", "second"), [(13, 18), (21, 15)])
def test_the_older_part_is_brought_to_the_operators_of_the_newer(first: int, second: int) -> None:
    whole = join(scaling(opset=first), negating(opset=second), {"scaled": "features"})
    assert opset_of(parse(whole)) == max(first, second)
    assert set(run_graph(whole, {"numbers": ROWS})) == {"negative"}


def test_operators_of_machine_learning_that_are_the_same_in_both_versions_are_joined() -> None:
    scaler = [helper.make_node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", offset=[0.0, 1.0], scale=[2.0, 2.0])]
    first = part(scaler, ("numbers", "scaled"), ml=1)
    whole = join(first, part(scaler, ("features", "scaled"), ml=3), {"scaled": "features"})
    once = (ROWS - np.float32([0, 1])) * 2
    np.testing.assert_array_equal(run_graph(whole, {"numbers": ROWS})["scaled"], (once - np.float32([0, 1])) * 2)


def test_an_operator_that_is_another_one_in_the_newer_version_is_refused() -> None:
    encoder = helper.make_node("LabelEncoder", ["x"], ["y"], domain="ai.onnx.ml", classes_strings=["a", "b"])
    texts_to_numbers = (TensorProto.STRING, TensorProto.INT64)
    first = part([encoder], ("words", "ids"), ml=1, types=texts_to_numbers)
    second = part(
        [helper.make_node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", offset=[0.0], scale=[1.0])],
        ("ids", "scaled"),
        ml=3,
        types=(TensorProto.INT64, TensorProto.FLOAT),
    )
    with pytest.raises(GraphError, match="is another operator in 3"):
        join(first, second, {"ids": "ids"})


def test_numbers_of_another_type_are_cast() -> None:
    doubled = [helper.make_node("Add", ["x", "x"], ["y"])]
    first = part(doubled, ("numbers", "doubled"), types=(TensorProto.DOUBLE, TensorProto.DOUBLE))
    whole = join(first, negating(), {"doubled": "features"})
    answered = run_graph(whole, {"numbers": ROWS.astype(np.float64)})["negative"]
    assert answered.dtype == np.float32
    np.testing.assert_array_equal(answered, -2 * ROWS)


def test_texts_are_not_cast_to_numbers() -> None:
    same = [helper.make_node("Identity", ["x"], ["y"])]
    texts = part(same, ("texts", "same"), types=(TensorProto.STRING, TensorProto.STRING))
    with pytest.raises(GraphError, match="'same' as texts where the network reads numbers"):
        join(texts, negating(), {"same": "features"})
