"""Names, dimensions and notes of a finished graph."""

import onnx
import pytest

from argosy.v1 import manifest_pb2 as pb
from exporter.errors import GraphError
from exporter.signature import Meaning, finish, parse, tensor_specs


def test_inputs_and_outputs_get_the_names_that_were_given(tiny) -> None:
    graph = parse(tiny.graph()).graph
    assert [value.name for value in graph.input] == ["features"]
    assert [value.name for value in graph.output] == ["probabilities"]


def test_the_batch_is_dynamic_and_called_batch(tiny) -> None:
    graph = parse(tiny.graph()).graph
    for value in (*graph.input, *graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"


def test_a_size_with_a_made_up_name_is_called_after_its_tensor(tiny) -> None:
    model = tiny.converted()
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "unk__98"
    graph = parse(finish(model, ["features"], ["probabilities"])).graph
    assert graph.input[0].type.tensor_type.shape.dim[1].dim_param == "features_axis_1"


def test_a_frozen_batch_is_refused(tiny) -> None:
    with pytest.raises(GraphError, match="'features' is frozen at a batch of 8"):
        finish(tiny.converted(batch=8), ["features"], ["probabilities"])


def test_one_row_at_a_time_is_taken_where_it_is_said(tiny) -> None:
    graph = finish(tiny.converted(batch=1), ["features"], ["probabilities"], one_row_at_a_time=True)
    assert parse(graph).graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1


@pytest.mark.parametrize("name", ["Identity:0", "output_0", "unk__36", "StatefulPartitionedCall:0", "a b", ""])
def test_names_that_converters_make_up_are_refused(tiny, name: str) -> None:
    with pytest.raises(GraphError, match="made up"):
        finish(tiny.converted(), ["features"], [name])


def test_as_many_names_as_outputs_are_needed(tiny) -> None:
    with pytest.raises(GraphError, match=r"1 output\(s\) \(Identity:0\), 2 name"):
        finish(tiny.converted(), ["features"], ["a", "b"])


def test_a_value_inside_that_has_the_new_name_gives_way(tiny) -> None:
    """The graph computes `scores` before its output; calling the output so must not tie a knot."""
    graph = finish(tiny.converted(), ["weights"], ["scores"])
    onnx.checker.check_model(parse(graph), full_check=True)
    assert [value.name for value in parse(graph).graph.output] == ["scores"]


def test_notes_with_paths_are_gone(tiny) -> None:
    assert b"/home/someone" in tiny.converted().SerializeToString()
    assert b"/home/someone" not in tiny.graph()


def test_an_output_without_a_name_is_left_out_with_what_only_it_needs(tiny) -> None:
    model = tiny.converted()
    model.graph.node.append(onnx.helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0))
    model.graph.output.insert(0, onnx.helper.make_tensor_value_info("label", onnx.TensorProto.INT64, ["n"]))
    graph = parse(finish(model, ["features"], [None, "probabilities"])).graph
    assert [value.name for value in graph.output] == ["probabilities"]
    assert [node.op_type for node in graph.node] == ["MatMul", "Softmax"]


def test_the_manifest_gets_types_shapes_and_meanings(tiny) -> None:
    meanings = {
        "features": Meaning("four lengths", "cm"),
        "probabilities": Meaning("of each class", role=pb.OUTPUT_ROLE_PROBABILITIES),
    }
    inputs, outputs = tensor_specs(tiny.graph(), meanings)
    assert inputs == [
        pb.TensorSpec(name="features", data_type=pb.DATA_TYPE_FP32, shape=[-1, 4], meaning="four lengths", unit="cm")
    ]
    assert (list(outputs[0].shape), outputs[0].role) == ([-1, 3], pb.OUTPUT_ROLE_PROBABILITIES)


def test_an_output_without_a_role_is_refused(tiny) -> None:
    with pytest.raises(GraphError, match="needs a role"):
        tensor_specs(tiny.graph(), {"features": Meaning("x"), "probabilities": Meaning("y")})


def test_bytes_that_are_no_onnx_file_are_refused() -> None:
    with pytest.raises(GraphError, match="no ONNX file"):
        parse(b"\xff\xffnot a graph")
