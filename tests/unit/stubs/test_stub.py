"""A stub's names and numbers: the same for every version, never one for two columns."""

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from argosy.v1 import manifest_pb2 as pb
from argosy.v1.text_pb2 import TextServiceClassifyRequest
from argosy.v1.vision_pb2 import VisionServiceDetectRequest
from stubs.declaration import Declaration
from stubs.names import StubError, check_numbers, distinct, file_name, number_of, path_of, snake
from stubs.proto_text import proto_text
from stubs.stub import stub_of
from stubs.table import TableStub, table_stub

NUMBER, TEXT = pb.COLUMN_KIND_NUMBER, pb.COLUMN_KIND_TEXT


def manifest(*columns: pb.TableColumn, **more: object) -> pb.ModelManifest:
    return pb.ModelManifest(
        name="wine-price",
        version="3",
        tasks=[pb.TASK_TABULAR_REGRESSION],
        outputs=[pb.TensorSpec(name="price", unit="EUR", meaning="what it costs", role=pb.OUTPUT_ROLE_VALUE)],
        table=pb.TablePreprocessing(columns=columns),
        **more,
    )


def column(name: str, kind: "pb.ColumnKind.ValueType" = NUMBER, **more: object) -> pb.TableColumn:
    return pb.TableColumn(name=name, kind=kind, missing=pb.MISSING_POLICY_REJECT, **more)


def row_fields(stub: TableStub) -> dict[str, int]:
    return fields(stub.declaration(), "WinePriceRow")


def fields(declared: Declaration, message: str) -> dict[str, int]:
    (found,) = (own for own in declared.all_messages() if own.name == message)
    return {field.name: field.number for field in found.fields}


def text_manifest(*tasks: "pb.Task.ValueType", **more: object) -> pb.ModelManifest:
    return pb.ModelManifest(name="mood", version="1", tasks=tasks, text=pb.TextPreprocessing(**more))


def image_manifest(*tasks: "pb.Task.ValueType", **more: object) -> pb.ModelManifest:
    image = pb.ImagePreprocessing(width=32, height=24, color=pb.COLOR_SPACE_RGB)
    return pb.ModelManifest(name="shapes", version="1", tasks=tasks, image=image, **more)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("capital-gain (USD)", "capital_gain_usd"),
        ("<=50K", "lt_eq_50k"),
        ("2nd try", "x_2nd_try"),
        ("  ", "x"),
        ("CamelCase", "camelcase"),
        ("été", "ete"),
        ("温度", "u6e29u5ea6"),
    ],
)
def test_a_name_becomes_one_that_every_language_takes(text: str, name: str) -> None:
    assert snake(text) == name


def test_columns_moved_added_and_taken_out_keep_their_numbers() -> None:
    before = row_fields(table_stub(manifest(column("age"), column("acid"), column("sugar"))))
    after = row_fields(table_stub(manifest(column("sugar"), column("tannin"), column("age"))))
    assert (after["sugar"], after["age"]) == (before["sugar"], before["age"])
    assert after["tannin"] not in before.values()


def test_a_column_of_another_kind_is_another_field() -> None:
    assert row_fields(table_stub(manifest(column("age")))) != row_fields(table_stub(manifest(column("age", TEXT))))


def test_numbers_are_those_that_clients_were_built_with() -> None:
    """Changing how they are made would break every stub that there is."""
    assert number_of("age", str(NUMBER)) == 155833374
    assert number_of("<=50K", "class") == 379534429


def test_no_number_is_one_of_protobufs_own() -> None:
    numbers = {number_of(f"column {place}", "1") for place in range(5_000)}
    assert min(numbers) >= 16
    assert max(numbers) < 2**29
    assert not numbers & set(range(19_000, 20_000))


def test_names_that_become_the_same_are_told_apart_whatever_their_order() -> None:
    names = distinct(["a-b", "a_b", "c"], lambda _: "1")
    assert names["c"] == "c"
    assert names["a-b"] == f"a_b_n{number_of('a-b', '1')}"
    assert len(set(names.values())) == 3
    assert distinct(["c", "a_b", "a-b"], lambda _: "1") == names


def test_two_columns_of_one_number_are_refused() -> None:
    with pytest.raises(StubError, match="'a' and 'b' would have one field number"):
        check_numbers({"a": 17, "b": 17})


def test_a_model_that_reads_tensors_alone_has_no_stub() -> None:
    with pytest.raises(StubError, match="'bare' reads tensors alone"):
        stub_of(pb.ModelManifest(name="bare", version="1"))


def test_a_model_that_keeps_a_state_has_no_stub() -> None:
    described = manifest(column("age"), states=[pb.StateTensor(input="h", output="h2")])
    with pytest.raises(StubError, match="'wine-price' keeps a state"):
        stub_of(described)


def test_a_model_without_a_task_has_no_stub() -> None:
    with pytest.raises(StubError, match="'mood' states no task"):
        stub_of(text_manifest(string=pb.StringReading(input="text")))


def test_a_model_of_several_tasks_has_a_method_for_each() -> None:
    declared = stub_of(image_manifest(pb.TASK_IMAGE_CLASSIFICATION, pb.TASK_IMAGE_EMBEDDING, labels=["round"]))
    assert [rpc.name for rpc in declared.rpcs] == ["Classify", "Embed"]


def test_a_request_for_texts_is_that_of_the_text_service_field_by_field() -> None:
    declared = stub_of(text_manifest(pb.TASK_TEXT_CLASSIFICATION, string=pb.StringReading(input="text")))
    own = fields(declared, "MoodServiceClassifyRequest")
    assert own == {field.name: field.number for field in TextServiceClassifyRequest.DESCRIPTOR.fields}


def test_a_request_for_objects_is_that_of_the_vision_service_field_by_field() -> None:
    own = fields(stub_of(image_manifest(pb.TASK_OBJECT_DETECTION)), "ShapesServiceDetectRequest")
    assert own == {field.name: field.number for field in VisionServiceDetectRequest.DESCRIPTOR.fields}


def test_how_much_of_a_text_was_read_is_said_where_there_are_tokens() -> None:
    tokens = text_manifest(pb.TASK_TEXT_EMBEDDING, tokens=pb.TokenReading(max_tokens=64))
    assert "truncated" in fields(stub_of(tokens), "MoodEmbedding")
    assert "The model reads 64 tokens of one." in proto_text(stub_of(tokens))
    whole = text_manifest(pb.TASK_TEXT_EMBEDDING, string=pb.StringReading(input="text"))
    assert list(fields(stub_of(whole), "MoodEmbedding")) == ["values"]


def test_classes_without_names_are_told_by_their_places() -> None:
    declared = stub_of(image_manifest(pb.TASK_IMAGE_CLASSIFICATION))
    assert declared.enums == ()
    assert list(fields(declared, "ShapesScore")) == ["probability", "index"]


def test_two_classes_of_one_name_have_one_value() -> None:
    (enum,) = stub_of(image_manifest(pb.TASK_IMAGE_CLASSIFICATION, labels=["crane", "owl", "crane"])).enums
    assert [value.name for value in enum.values] == [
        "SHAPES_CLASS_UNSPECIFIED",
        "SHAPES_CLASS_CRANE",
        "SHAPES_CLASS_OWL",
    ]


def test_a_label_of_several_lines_stays_in_its_comment() -> None:
    (enum,) = stub_of(image_manifest(pb.TASK_IMAGE_CLASSIFICATION, labels=["a\n} b"])).enums
    assert enum.values[1].comment == "'a } b'"


def test_points_on_an_object_have_fields_by_their_names() -> None:
    marks = pb.TensorSpec(name="marks", role=pb.OUTPUT_ROLE_LANDMARKS)
    named = pb.DetectionPostprocessing(landmark_names=["left eye", "label"])
    own = fields(stub_of(image_manifest(pb.TASK_OBJECT_DETECTION, outputs=[marks], detection=named)), "ShapesObject")
    assert own["left_eye"] == number_of("left eye", "landmark")
    assert f"label_n{number_of('label', 'landmark')}" in own
    unnamed = stub_of(image_manifest(pb.TASK_OBJECT_DETECTION, outputs=[marks]))
    assert fields(unnamed, "ShapesObject")["landmarks"] == 8
    unmarked = stub_of(image_manifest(pb.TASK_OBJECT_DETECTION, detection=named))
    assert list(fields(unmarked, "ShapesObject"))[-1] == "bottom"


def test_the_path_is_the_models_name_alone() -> None:
    assert path_of("wine-price", "Predict") == "/argosy.models.wine_price.v1.WinePriceService/Predict"
    assert file_name("wine-price") == "argosy/models/wine_price/v1/wine_price.proto"


def test_an_output_named_as_a_field_of_every_result_gives_way() -> None:
    described = manifest(column("age"))
    described.outputs.add(name="scores", role=pb.OUTPUT_ROLE_VALUE)
    assert table_stub(described).values["scores"].startswith("scores_n")


def test_a_number_that_a_classifier_answers_besides_is_no_field() -> None:
    described = manifest(column("age"))
    described.tasks[:] = [pb.TASK_TABULAR_CLASSIFICATION]
    assert table_stub(described).values == {}


def test_the_file_says_meaning_unit_and_what_may_be_missing() -> None:
    text = proto_text(stub_of(manifest(column("age", unit="years", meaning="of the wine"), column("note", TEXT))))
    assert "  // 'age': of the wine; in years; must be there.\n  optional double age = 155833374;\n" in text
    assert "  // what it costs, in EUR\n  double price = " in text


@pytest.mark.parametrize(
    "described",
    [
        manifest(column("age"), column("a-b"), column("a_b", TEXT)),
        text_manifest(pb.TASK_TEXT_CLASSIFICATION, pb.TASK_TEXT_EMBEDDING, pb.TASK_TOKEN_CLASSIFICATION),
        image_manifest(
            *(pb.TASK_IMAGE_CLASSIFICATION, pb.TASK_IMAGE_EMBEDDING, pb.TASK_OBJECT_DETECTION),
            labels=["round", "square"],
            outputs=[pb.TensorSpec(name="marks", role=pb.OUTPUT_ROLE_LANDMARKS)],
            detection=pb.DetectionPostprocessing(landmark_names=["top", "corner"]),
        ),
    ],
    ids=["table", "text", "image"],
)
def test_the_file_and_the_descriptor_are_one(described: pb.ModelManifest, tmp_path: Path) -> None:
    """What protoc reads in the file is what the service builds its messages of."""
    declared = stub_of(described)
    (tmp_path / "stub.proto").write_text(proto_text(declared))
    # Not in this process: protoc is made to run once in one.
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{tmp_path}", f"--descriptor_set_out={tmp_path / 'set'}"]
    subprocess.run([*command, "stub.proto"], check=True, timeout=60)
    (compiled,) = FileDescriptorSet.FromString((tmp_path / "set").read_bytes()).file
    assert said(compiled) == said(declared.descriptor())


def said(file: FileDescriptorProto) -> FileDescriptorProto:
    """What a file says beside its name, options, and the names in JSON that protoc writes down."""
    kept = FileDescriptorProto()
    kept.CopyFrom(file)
    for name in ("name", "options"):
        kept.ClearField(name)
    for message in kept.message_type:
        for field in message.field:
            field.ClearField("json_name")
    return kept


def test_a_missing_value_is_told_from_zero() -> None:
    declared = stub_of(manifest(column("age")))
    pool = DescriptorPool()
    pool.Add(declared.descriptor())
    row = GetMessageClass(pool.FindMessageTypeByName(f"{declared.package}.WinePriceRow"))
    assert row(age=0.0).HasField("age")
    assert not row().HasField("age")
