"""Is a graph that answers otherwise than its source always found out?"""

import math

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporter.errors import GraphError, ParityError
from exporter.parity import Tolerance, describe_failure, merge
from exporter.signature import finish
from exporter.verify import compare, run_graph


def test_a_graph_that_answers_as_its_source_passes(tiny) -> None:
    report = tiny.parity()
    assert report.passed
    assert report.row_count == 40
    assert report.outputs[0].worst_absolute_error < 1e-6


def test_one_wrong_row_fails_and_is_named(tiny) -> None:
    reference = tiny.reference()
    reference[17] = reference[17][::-1]
    report = compare(
        tiny.graph(),
        {"features": tiny.rows},
        {"probabilities": reference},
        described="n",
        class_outputs=["probabilities"],
    )
    assert not report.passed
    assert report.outputs[0].worst_row == 17
    assert "output 'probabilities', row 17: off by" in describe_failure(report)


def test_more_rows_than_one_batch_holds_are_compared(tiny) -> None:
    rows, reference = np.tile(tiny.rows, (8, 1)), np.tile(tiny.reference(), (8, 1))
    report = compare(tiny.graph(), {"features": rows}, {"probabilities": reference}, described="n")
    assert (report.passed, report.row_count) == (True, 320)


def test_another_likeliest_class_fails_even_within_the_tolerance(tiny) -> None:
    reference = tiny.reference()
    order = np.sort(reference[3])
    reference[3] = np.where(
        reference[3] == order[-1], order[-2], np.where(reference[3] == order[-2], order[-1], order[0])
    )
    report = compare(
        tiny.graph(),
        {"features": tiny.rows},
        {"probabilities": reference},
        Tolerance(absolute=2.0),
        described="n",
        class_outputs=["probabilities"],
    )
    assert not report.passed
    assert report.outputs[0].disagreeing_labels == 1
    assert report.outputs[0].worst_row == 3


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_and_infinity_in_the_source_fail(tiny, value: float) -> None:
    reference = tiny.reference()
    reference[5, 1] = value
    report = compare(tiny.graph(), {"features": tiny.rows}, {"probabilities": reference}, described="n")
    assert not report.passed
    assert report.outputs[0].worst_absolute_error == math.inf
    assert report.outputs[0].worst_row == 5


def test_nan_in_the_graph_and_in_the_source_is_no_agreement(tiny) -> None:
    rows, reference = tiny.rows.copy(), tiny.reference()
    rows[2, 0] = math.nan
    reference[2] = math.nan
    assert not compare(tiny.graph(), {"features": rows}, {"probabilities": reference}, described="n").passed


def test_another_shape_is_refused(tiny) -> None:
    with pytest.raises(ParityError, match=r"answers shape \[40, 3\], the source \[40, 2\]"):
        compare(tiny.graph(), {"features": tiny.rows}, {"probabilities": tiny.reference()[:, :2]}, described="n")


def test_a_graph_that_answers_the_first_row_of_each_batch_alone_is_refused(tiny) -> None:
    shortened = tiny.converted(output="probabilities")
    shortened.graph.node[1].output[0] = "all"
    shortened.graph.initializer.append(numpy_helper.from_array(np.array([0]), "first"))
    shortened.graph.node.append(helper.make_node("Gather", ["all", "first"], ["probabilities"], axis=0))
    graph = finish(shortened, ["features"], ["probabilities"])
    with pytest.raises(ParityError, match=r"answers shape \[1, 3\], the source \[40, 3\]"):
        compare(graph, {"features": tiny.rows}, {"probabilities": tiny.reference()}, described="n")


def test_an_output_without_a_reference_is_refused(tiny) -> None:
    with pytest.raises(ParityError, match="'probabilities' has no reference"):
        compare(tiny.graph(), {"features": tiny.rows}, {}, described="n")


def test_a_batch_frozen_inside_the_graph_is_found(tiny) -> None:
    """The signature says that the batch varies; a Reshape in the middle knows better."""
    frozen = tiny.converted()
    frozen.graph.initializer.append(numpy_helper.from_array(np.array([40, 4]), "shape"))
    frozen.graph.node.insert(0, helper.make_node("Reshape", ["input_1", "shape"], ["again"]))
    frozen.graph.node[1].input[0] = "again"
    graph = finish(frozen, ["features"], ["probabilities"])
    with pytest.raises(GraphError, match=r"does not run on 1 row\(s\) from row 0"):
        compare(graph, {"features": tiny.rows}, {"probabilities": tiny.reference()}, described="n")


@pytest.mark.parametrize("row_count", [1, 40])
def test_a_graph_whose_rows_depend_on_each_other_is_refused_however_wide_the_tolerance(tiny, row_count: int) -> None:
    """Right in the one batch that it was compared in, wrong in every other: batch statistics left on."""
    shifted = tiny.converted(output="probabilities")
    graph = shifted.graph
    del graph.node[1]
    graph.initializer.append(numpy_helper.from_array(np.array([0]), "axes"))
    graph.node.append(helper.make_node("ReduceMean", ["scores", "axes"], ["mean"], keepdims=1))
    graph.node.append(helper.make_node("Sub", ["scores", "mean"], ["probabilities"]))
    model = finish(shifted, ["features"], ["probabilities"])
    rows = {"features": tiny.rows[:row_count]}
    for tolerance in (Tolerance(), Tolerance(absolute=100, disagreeing_labels=40)):
        with pytest.raises(
            ParityError, match="output 'probabilities', row 0: the answer depends on the batch's others"
        ):
            compare(model, rows, run_graph(model, rows), tolerance, described="n")


def test_different_texts_in_an_output_fail() -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["text"], ["label"])],
        "echo",
        [helper.make_tensor_value_info("text", TensorProto.STRING, ["batch", 1])],
        [helper.make_tensor_value_info("label", TensorProto.STRING, ["batch", 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    rows = {"text": np.array([["a"], ["b"], [""]], dtype=object)}
    assert compare(model, rows, {"label": np.array([["a"], ["b"], [""]])}, described="n").passed
    other = compare(model, rows, {"label": np.array([["a"], ["B"], [""]])}, described="n")
    assert not other.passed
    assert other.outputs[0].disagreeing_labels == 1


def test_merged_reports_fail_where_one_does(tiny) -> None:
    wrong = compare(
        tiny.graph(),
        {"features": tiny.rows},
        {"probabilities": tiny.reference() + np.float32(0.1)},
        described="shifted",
    )
    merged = merge([tiny.parity(), wrong], Tolerance())
    assert not merged.passed
    assert merged.row_count == 80
    assert merged.outputs[0].worst_row >= 40
    assert merged.reference == "numpy; shifted"


def test_no_report_at_all_does_not_pass() -> None:
    assert not merge([], Tolerance()).passed


def test_bytes_that_are_no_graph_are_refused() -> None:
    with pytest.raises(GraphError, match="does not load"):
        run_graph(onnx.ModelProto().SerializeToString(), {"x": np.zeros((1, 1), np.float32)})
