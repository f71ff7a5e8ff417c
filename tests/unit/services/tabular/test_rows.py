"""Rows of named columns to tensors: what each kind of cell becomes, and what is refused."""

import math

import numpy as np
import pytest
from google.protobuf.struct_pb2 import Struct, Value

from argosy.v1 import manifest_pb2 as pb
from services.runtime.closed_columns import categories_of
from services.runtime.errors import Cause, ServingError
from services.tabular.cells import column_of
from services.tabular.rows import TableInput, TableReader, TableRequest

REJECT, IMPUTE = pb.MISSING_POLICY_REJECT, pb.MISSING_POLICY_IMPUTE
DTYPES = {"numbers": np.float32, "count": np.int64, "job": np.object_, "wide": np.float64}

COLUMNS = [
    pb.TableColumn(name="age", kind=pb.COLUMN_KIND_NUMBER, input="numbers", index=1, missing=REJECT),
    pb.TableColumn(name="bmi", kind=pb.COLUMN_KIND_NUMBER, input="numbers", index=0, missing=IMPUTE),
    pb.TableColumn(name="smoker", kind=pb.COLUMN_KIND_BOOLEAN, input="numbers", index=2, missing=IMPUTE),
    pb.TableColumn(name="children", kind=pb.COLUMN_KIND_NUMBER, input="count", index=0, missing=REJECT),
    pb.TableColumn(name="job", kind=pb.COLUMN_KIND_TEXT, input="job", index=0, missing=IMPUTE),
    pb.TableColumn(name="distance", kind=pb.COLUMN_KIND_NUMBER, input="wide", index=0, missing=IMPUTE),
]
GOOD = {"age": 41.5, "bmi": 22.25, "smoker": True, "children": 2.0, "job": "clerk", "distance": 1e300}

READER = TableReader(
    {column.name: column_of(column, np.dtype(DTYPES[column.input])) for column in COLUMNS},
    {
        "numbers": TableInput(3, np.dtype(np.float32)),
        "count": TableInput(1, np.dtype(np.int64)),
        "job": TableInput(1, np.dtype(np.object_)),
        "wide": TableInput(1, np.dtype(np.float64)),
    },
)


def row(cells: dict[str, object]) -> Struct:
    struct = Struct()
    struct.update(cells)
    return struct


def read(*rows: dict[str, object]) -> TableRequest:
    return READER.read([row(cells) for cells in rows])


def refusal(*rows: dict[str, object]) -> ServingError:
    with pytest.raises(ServingError) as raised:
        read(*rows)
    assert raised.value.cause is Cause.INVALID_INPUT
    return raised.value


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in GOOD.items() if key != name}


def test_each_cell_goes_to_its_place_in_its_tensor() -> None:
    request = read(GOOD, GOOD | {"smoker": False, "job": "Café", "children": -3})
    tensors = request.tensors
    assert tensors["numbers"].tolist() == [[22.25, 41.5, 1], [22.25, 41.5, 0]]
    assert tensors["count"].tolist() == [[2], [-3]]
    assert tensors["job"].tolist() == [[b"clerk"], ["Café".encode()]]
    assert tensors["wide"].tolist() == [[1e300], [1e300]]
    assert {name: array.dtype.type for name, array in tensors.items()} == DTYPES
    assert request.imputed == ((), ())


@pytest.mark.parametrize("missing", [None, math.nan, "absent"])
def test_a_missing_number_is_left_to_the_graph_where_the_model_imputes_it(missing: object) -> None:
    request = read(without("bmi") if missing == "absent" else GOOD | {"bmi": missing}, GOOD)
    assert math.isnan(request.tensors["numbers"][0, 0])
    assert request.tensors["numbers"][1, 0] == np.float32(22.25)
    assert request.imputed == (("bmi",), ())


def test_a_missing_text_is_empty_and_a_missing_boolean_is_nan() -> None:
    request = read(GOOD | {"job": None, "smoker": None})
    assert request.tensors["job"].tolist() == [[b""]]
    assert math.isnan(request.tensors["numbers"][0, 2])
    assert request.imputed == (("smoker", "job"),)


def test_an_empty_text_is_missing_where_the_model_imputes_it() -> None:
    assert read(GOOD | {"job": ""}).imputed == (("job",),)


@pytest.mark.parametrize("spec", [{"missing": REJECT}, {"missing": IMPUTE, "categories": ["", "clerk"]}])
def test_an_empty_text_is_a_value_where_nothing_is_imputed_or_it_is_a_category(spec: dict[str, object]) -> None:
    column = pb.TableColumn(name="job", kind=pb.COLUMN_KIND_TEXT, input="job", **spec)
    assert column_of(column, np.dtype(np.object_)).cell(Value(string_value=""), 0) == b""


@pytest.mark.parametrize(("missing", "came"), [(None, "null"), (math.nan, "NaN"), ("absent", "no value")])
def test_a_missing_value_is_refused_where_the_model_needs_it(missing: object, came: str) -> None:
    error = refusal(GOOD, GOOD, without("age") if missing == "absent" else GOOD | {"age": missing})
    assert str(error) == f"rows[2].age: expected a number, got {came}"
    assert (error.field, error.reason) == ("rows[2].age", "MISSING_VALUE")


@pytest.mark.parametrize("name", ["age", "bmi", "children", "distance"])
@pytest.mark.parametrize("infinity", [math.inf, -math.inf])
def test_infinity_is_refused_whatever_the_policy(name: str, infinity: float) -> None:
    error = refusal(GOOD | {name: infinity})
    assert str(error).startswith(f"rows[0].{name}: expected a ")
    assert str(error).endswith(f", got {infinity}")
    assert error.reason == "NUMBER_OUT_OF_RANGE"


@pytest.mark.parametrize(
    ("name", "value", "expected", "came"),
    [
        ("age", "41", "a number", "a string"),
        ("age", True, "a number", "a boolean"),
        ("age", {"years": 41}, "a number", "an object"),
        ("age", [41], "a number", "a list"),
        ("bmi", "", "a number", "a string"),
        ("children", False, "a number", "a boolean"),
        ("job", 3, "a string", "a number"),
        ("job", math.nan, "a string", "a number"),
        ("job", True, "a string", "a boolean"),
        ("smoker", 1, "a boolean", "a number"),
        ("smoker", "true", "a boolean", "a string"),
    ],
)
def test_nothing_is_converted_between_kinds(name: str, value: object, expected: str, came: str) -> None:
    error = refusal(GOOD, GOOD | {name: value})
    assert str(error) == f"rows[1].{name}: expected {expected}, got {came}"
    assert error.reason == "WRONG_KIND"


def test_a_value_without_a_kind_is_refused() -> None:
    bad = row(GOOD)
    bad.fields["bmi"].CopyFrom(Value())
    with pytest.raises(ServingError, match=r"^rows\[0\].bmi: expected a number, got a value without a kind$"):
        READER.read([bad])


@pytest.mark.parametrize("number", [3.5e38, -1e39, 1e300])
def test_a_number_that_a_float_cannot_hold_is_refused(number: float) -> None:
    error = refusal(GOOD | {"age": number})
    assert f"rows[0].age: expected a number from -3.4028235e+38 to 3.4028235e+38, got {number:.17g}" == str(error)


def test_the_largest_float_is_accepted() -> None:
    largest = float(np.finfo(np.float32).max)
    assert read(GOOD | {"age": largest}).tensors["numbers"][0, 1] == largest


@pytest.mark.parametrize("number", [2.5, 1e19, -(2.0**64), 2.0**63])
def test_a_whole_number_is_neither_a_fraction_nor_beyond_what_a_double_counts(number: float) -> None:
    error = refusal(GOOD | {"children": number})
    assert "rows[0].children: expected a whole number from" in str(error)


def test_an_unknown_column_is_named_with_the_nearest_that_there_is() -> None:
    error = refusal(GOOD, GOOD | {"smokers": True})
    assert str(error) == "rows[1].smokers: the model has no such column; the nearest of its columns is 'smoker'"
    assert error.reason == "UNKNOWN_COLUMN"


def test_of_several_unknown_columns_the_first_by_name_is_named() -> None:
    assert refusal(GOOD | {f"x{place:02}": 1 for place in range(40)}).field == "rows[0].x00"


def test_an_unknown_column_of_any_name_is_quoted_short_and_printable() -> None:
    error = refusal(GOOD | {"\n\0" + "x" * 10_000: 1})
    assert str(error).startswith("rows[0].??xxx")
    assert len(str(error)) < 300


def test_a_request_without_rows_gets_the_one_declared_answer() -> None:
    assert str(refusal()) == "rows: at least one is needed, got 0"


def test_an_empty_row_is_a_row_of_missing_values() -> None:
    assert str(refusal({})) == "rows[0].age: expected a number, got no value"


def test_requests_are_collated_in_their_order_and_a_row_is_the_same_in_any_batch() -> None:
    generator = np.random.default_rng(3)
    rows = [GOOD | {"age": float(generator.normal()), "job": str(i), "bmi": None if i % 3 else 2.0} for i in range(12)]
    alone = [read(cells) for cells in rows]
    together = read(*rows)
    collated = READER.collate([read(*rows[:5]), read(*rows[5:])])
    for name, tensor in together.tensors.items():
        separate = np.concatenate([request.tensors[name] for request in alone])
        same_nan = tensor.dtype != np.object_
        assert np.array_equal(tensor, separate, equal_nan=same_nan)
        assert np.array_equal(collated[name], separate, equal_nan=same_nan)
    assert together.imputed == tuple(request.imputed[0] for request in alone)


def closed(
    name: str, kind: "pb.ColumnKind.ValueType", missing: "pb.MissingPolicy.ValueType", *known: str
) -> pb.TableColumn:
    return pb.TableColumn(name=name, kind=kind, input=name, missing=missing, categories=known, closed=True)


CLOSED = pb.ModelManifest(
    inputs=[
        pb.TensorSpec(name="kind", data_type=pb.DATA_TYPE_BYTES, shape=[-1, 1]),
        pb.TensorSpec(name="size", data_type=pb.DATA_TYPE_FP32, shape=[-1, 1]),
        pb.TensorSpec(name="rooms", data_type=pb.DATA_TYPE_INT64, shape=[-1, 1]),
        pb.TensorSpec(name="town", data_type=pb.DATA_TYPE_BYTES, shape=[-1, 1]),
    ],
    table=pb.TablePreprocessing(
        columns=[
            closed("kind", pb.COLUMN_KIND_TEXT, REJECT, "a", "b"),
            closed("size", pb.COLUMN_KIND_NUMBER, IMPUTE, "0.1", "2"),
            closed("rooms", pb.COLUMN_KIND_NUMBER, REJECT, "1", "3"),
            closed("town", pb.COLUMN_KIND_TEXT, IMPUTE, "Ulm"),
        ]
    ),
)
KNOWN = {"kind": "b", "size": 0.1, "rooms": 3, "town": "Ulm"}


def read_closed(**changed: object) -> TableRequest:
    types = {"kind": np.object_, "size": np.float32, "rooms": np.int64, "town": np.object_}
    dtypes = {name: np.dtype(scalar) for name, scalar in types.items()}
    columns = {c.name: column_of(c, dtypes[c.name], categories_of(CLOSED, c)) for c in CLOSED.table.columns}
    reader = TableReader(columns, {name: TableInput(1, dtype) for name, dtype in dtypes.items()})
    return reader.read([row(KNOWN), row(KNOWN | changed)])


def test_a_closed_column_takes_its_categories_as_the_tensor_holds_them() -> None:
    assert read_closed().tensors["rooms"].tolist() == [[3], [3]]


def test_a_closed_column_that_is_imputed_takes_a_missing_value() -> None:
    assert read_closed(size=None, town="").imputed == ((), ("size", "town"))


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("kind", "c", "expected one of 'a', 'b', got 'c'"),
        ("kind", "", "expected one of 'a', 'b', got ''"),
        ("size", 0.2, "expected one of 0.1, 2, got 0.2"),
        ("rooms", 2, "expected one of 1, 3, got 2"),
    ],
)
def test_a_closed_column_refuses_what_the_model_does_not_know(name: str, value: object, told: str) -> None:
    with pytest.raises(ServingError) as raised:
        read_closed(**{name: value})
    error = raised.value
    assert (error.cause, error.reason, error.field) == (Cause.INVALID_INPUT, "UNKNOWN_CATEGORY", f"rows[1].{name}")
    assert str(error) == f"rows[1].{name}: {told}"
