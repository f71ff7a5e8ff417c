"""A stub's names and numbers: the same for every version, never one for two columns."""

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from argosy.v1 import manifest_pb2 as pb
from stubs.names import StubError, check_numbers, distinct, number_of, snake
from stubs.proto_text import proto_text
from stubs.table import TableStub, file_name, path_of, table_stub

NUMBER, TEXT = pb.COLUMN_KIND_NUMBER, pb.COLUMN_KIND_TEXT


def manifest(*columns: pb.TableColumn, **more: object) -> pb.ModelManifest:
    return pb.ModelManifest(
        name="wine-price",
        version="3",
        outputs=[pb.TensorSpec(name="price", unit="EUR", meaning="what it costs", role=pb.OUTPUT_ROLE_VALUE)],
        table=pb.TablePreprocessing(columns=columns),
        **more,
    )


def column(name: str, kind: "pb.ColumnKind.ValueType" = NUMBER, **more: object) -> pb.TableColumn:
    return pb.TableColumn(name=name, kind=kind, missing=pb.MISSING_POLICY_REJECT, **more)


def row_fields(stub: TableStub) -> dict[str, int]:
    (row,) = (message for message in stub.file().message_type if message.name == "WinePriceRow")
    return {field.name: field.number for field in row.field}


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


def test_a_model_without_a_table_has_no_stub() -> None:
    with pytest.raises(StubError, match="'wine-price' reads no table"):
        table_stub(manifest())


def test_the_path_is_the_models_name_alone() -> None:
    assert path_of("wine-price") == "/argosy.models.wine_price.v1.WinePriceService/Predict"
    assert file_name("wine-price") == "argosy/models/wine_price/v1/wine_price.proto"


def test_an_output_named_as_a_field_of_every_result_gives_way() -> None:
    described = manifest(column("age"))
    described.outputs.add(name="scores", role=pb.OUTPUT_ROLE_VALUE)
    assert table_stub(described).values["scores"].startswith("scores_n")


def test_the_file_says_meaning_unit_and_what_may_be_missing() -> None:
    text = proto_text(table_stub(manifest(column("age", unit="years", meaning="of the wine"), column("note", TEXT))))
    assert "  // 'age': of the wine; in years; must be there.\n  optional double age = 155833374;\n" in text
    assert "  // what it costs, in EUR\n  double price = " in text


def test_the_file_and_the_descriptor_are_one(tmp_path: Path) -> None:
    """What protoc reads in the file is what the service builds its messages of."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    stub = table_stub(manifest(column("age"), column("a-b"), column("a_b", TEXT)))
    (tmp_path / "wine.proto").write_text(proto_text(stub))
    # Not in this process: protoc is made to run once in one.
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{tmp_path}", f"--descriptor_set_out={tmp_path / 'set'}"]
    subprocess.run([*command, "wine.proto"], check=True, timeout=60)
    (compiled,) = FileDescriptorSet.FromString((tmp_path / "set").read_bytes()).file
    for message, made in zip(compiled.message_type, stub.file().message_type, strict=True):
        assert [(f.name, f.number, f.type, f.proto3_optional) for f in message.field] == [
            (f.name, f.number, f.type, f.proto3_optional) for f in made.field
        ]


def test_a_missing_value_is_told_from_zero() -> None:
    stub = table_stub(manifest(column("age")))
    pool = DescriptorPool()
    pool.Add(stub.file())
    row = GetMessageClass(pool.FindMessageTypeByName(f"{stub.package}.WinePriceRow"))
    assert row(age=0.0).HasField("age")
    assert not row().HasField("age")
