"""Predict of a model: requests in, the model's numbers encoded as answers, and manifests that do not do."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from argosy.v1 import manifest_pb2 as pb
from argosy.v1 import tabular_pb2
from services.runtime.errors import Cause, ServingError
from services.runtime.front import Array
from services.tabular.methods import typed_methods

ANYWHERE = Path()
CLASSIFICATION, REGRESSION = pb.TASK_TABULAR_CLASSIFICATION, pb.TASK_TABULAR_REGRESSION


def manifest(task: pb.Task.ValueType) -> pb.ModelManifest:
    found = pb.ModelManifest(name="table", version="3", tasks=[task])
    found.inputs.append(pb.TensorSpec(name="x", data_type=pb.DATA_TYPE_FP32, shape=[-1, 2]))
    for index, name in enumerate(["age", "bmi"]):
        found.table.columns.append(
            pb.TableColumn(
                name=name, kind=pb.COLUMN_KIND_NUMBER, input="x", index=index, missing=pb.MISSING_POLICY_IMPUTE
            )
        )
    if task == REGRESSION:
        found.outputs.append(
            pb.TensorSpec(
                name="progression",
                data_type=pb.DATA_TYPE_FP32,
                shape=[-1, 1],
                unit="points",
                role=pb.OUTPUT_ROLE_VALUE,
            )
        )
    else:
        found.labels.extend(["<=50K", ">50K"])
        for name, shape, role in (
            ("label", [-1], pb.OUTPUT_ROLE_LABEL),
            ("shares", [-1, 2], pb.OUTPUT_ROLE_PROBABILITIES),
        ):
            found.outputs.append(pb.TensorSpec(name=name, data_type=pb.DATA_TYPE_FP32, shape=shape, role=role))
    return found


def predict(found: pb.ModelManifest, outputs: dict[str, Array]) -> tabular_pb2.TabularServicePredictResponse:
    offered, _ = typed_methods(found, ANYWHERE)
    message = tabular_pb2.TabularServicePredictRequest(model="table")
    message.rows.add().update({"age": 40, "bmi": None})
    message.rows.add().update({"age": 40, "bmi": 21})
    request = offered.decode(message.SerializeToString())
    assert offered.collate([request])["x"].shape == (2, 2)
    return tabular_pb2.TabularServicePredictResponse.FromString(offered.encode(request, outputs))


def refusal(found: pb.ModelManifest) -> str:
    with pytest.raises(ServingError) as raised:
        typed_methods(found, ANYWHERE)
    assert raised.value.cause is Cause.REFUSED_LOAD
    return str(raised.value)


def test_a_classification_answers_every_class_likeliest_first() -> None:
    shares = np.array([[0.75, 0.25], [0.25, 0.75]], np.float32)
    reply = predict(manifest(CLASSIFICATION), {"shares": shares, "label": np.array([0, 0])})
    assert (reply.model, reply.version) == ("table", "3")
    ranked = [[(c.label, c.index, c.score) for c in result.categories] for result in reply.results]
    assert ranked == [[("<=50K", 0, 0.75), (">50K", 1, 0.25)], [(">50K", 1, 0.75), ("<=50K", 0, 0.25)]]
    assert not any(result.quantities for result in reply.results)


def test_the_columns_that_the_model_filled_in_are_named_row_by_row() -> None:
    reply = predict(manifest(CLASSIFICATION), {"shares": np.full((2, 2), 0.5, np.float32)})
    assert [list(result.imputed_columns) for result in reply.results] == [["bmi"], []]


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_a_regression_answers_a_number_with_its_name_and_unit(shape: tuple[int, ...]) -> None:
    reply = predict(manifest(REGRESSION), {"progression": np.array([152.5, -1], np.float32).reshape(shape)})
    numbers = [[(q.name, q.value, q.unit) for q in result.quantities] for result in reply.results]
    assert numbers == [[("progression", 152.5, "points")], [("progression", -1, "points")]]
    assert not any(result.categories for result in reply.results)


def test_the_route_counts_the_rows_of_the_message() -> None:
    offered, _ = typed_methods(manifest(REGRESSION), ANYWHERE)
    rows = tabular_pb2.TabularServicePredictRequest.DESCRIPTOR.fields_by_name["rows"]
    assert (offered.route.rows_field, offered.route.rows_name) == (rows.number, rows.name)
    assert offered.route.method == "/argosy.v1.TabularService/Predict"


def _nested(levels: int) -> bytes:
    """A Predict request whose one cell is a list in a list in a list …"""

    def field(number: int, data: bytes) -> bytes:
        length, size = len(data), b""
        while length > 127:
            size += bytes([length & 127 | 128])
            length >>= 7
        return bytes([number << 3 | 2]) + size + bytes([length]) + data

    value = b"\x20\x01"
    for _ in range(levels):
        value = field(6, field(1, value))
    return field(3, field(1, field(1, b"age") + field(2, value)))


@pytest.mark.parametrize("data", [b"\x1a\x05ab", b"\xff" * 20, b"\x0a\x02\xff\xfe", _nested(75), _nested(5000)])
def test_bytes_that_are_no_message_are_refused_with_the_messages_name(data: bytes) -> None:
    offered, _ = typed_methods(manifest(REGRESSION), ANYWHERE)
    with pytest.raises(ServingError, match=r"^argosy\.v1\.TabularServicePredictRequest: ") as raised:
        offered.decode(data)
    assert raised.value.reason == "MALFORMED_MESSAGE"


def test_a_list_that_is_not_too_deep_is_refused_as_a_list() -> None:
    offered, _ = typed_methods(manifest(REGRESSION), ANYWHERE)
    with pytest.raises(ServingError, match=r"^rows\[0\].age: expected a number, got a list$"):
        offered.decode(_nested(3))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda m: m.ClearField("table"), "states no column"),
        (lambda m: m.ClearField("tasks"), "offers no task of the tabular service"),
        (lambda m: m.ClearField("outputs"), "an output with the role"),
        (lambda m: setattr(m.table.columns[1], "name", "age"), "two columns have the same name"),
        (lambda m: setattr(m.table.columns[1], "index", 0), "one column a place"),
        (lambda m: m.table.columns.pop(), "one column a place"),
        (lambda m: setattr(m.table.columns[0], "input", "y"), "feeds input 'y'"),
        (lambda m: m.table.columns[0].ClearField("kind"), "does not state its kind"),
        (lambda m: m.table.columns[0].ClearField("missing"), "what a missing value means"),
        (lambda m: setattr(m.table.columns[0], "kind", pb.COLUMN_KIND_TEXT), "a tensor of BYTES if its kind is text"),
        (lambda m: setattr(m.inputs[0], "data_type", pb.DATA_TYPE_BYTES), "a tensor of BYTES if its kind is text"),
        (lambda m: setattr(m.inputs[0], "data_type", pb.DATA_TYPE_INT64), "cannot hold NaN"),
        (lambda m: setattr(m.inputs[0], "data_type", pb.DATA_TYPE_BOOL), "is a number, and its tensor is BOOL"),
    ],
)
@pytest.mark.parametrize("task", [CLASSIFICATION, REGRESSION])
def test_a_manifest_that_lacks_something_is_refused_and_says_what(
    task: pb.Task.ValueType, change: Callable[[pb.ModelManifest], object], complaint: str
) -> None:
    found = manifest(task)
    change(found)
    assert complaint in refusal(found)


def test_a_value_of_more_than_one_number_is_refused() -> None:
    found = manifest(REGRESSION)
    found.outputs[0].shape[1] = 2
    assert "holds more than one value a row" in refusal(found)


def test_a_classifier_of_labels_alone_is_refused() -> None:
    found = manifest(CLASSIFICATION)
    found.outputs.pop()
    assert "the role PROBABILITIES or LOGITS" in refusal(found)
