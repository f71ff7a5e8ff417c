"""A tabular model's policy for missing values holds for tensors that callers send by themselves, too."""

import numpy as np
import pytest

from argosy.v1 import manifest_pb2 as pb
from services.runtime.errors import ServingError
from services.tabular.tensor_check import tensor_check

NUMBERS = np.array([[1, 2], [3, 4], [5, 6]], np.float32)


def column(
    name: str, index: int, missing: "pb.MissingPolicy.ValueType", input_: str = "x", known: tuple[str, ...] = ()
) -> pb.TableColumn:
    """Closed where there are values that it knows."""
    kind = pb.COLUMN_KIND_TEXT if input_ == "text" else pb.COLUMN_KIND_NUMBER
    return pb.TableColumn(
        name=name, kind=kind, input=input_, index=index, missing=missing, categories=known, closed=bool(known)
    )


MANIFEST = pb.ModelManifest(
    name="m",
    inputs=[
        pb.TensorSpec(name="x", data_type=pb.DATA_TYPE_FP32, shape=[-1, 2]),
        pb.TensorSpec(name="count", data_type=pb.DATA_TYPE_INT64, shape=[-1, 1]),
        pb.TensorSpec(name="text", data_type=pb.DATA_TYPE_BYTES, shape=[-1, 1]),
    ],
    table=pb.TablePreprocessing(
        columns=[
            # Not in the order of the tensor.
            column("imputed", 1, pb.MISSING_POLICY_IMPUTE),
            column("needed", 0, pb.MISSING_POLICY_REJECT),
            column("count", 0, pb.MISSING_POLICY_REJECT, "count"),
            column("text", 0, pb.MISSING_POLICY_REJECT, "text"),
        ]
    ),
)


def check(x: "np.typing.NDArray[np.float32]") -> tuple[str, ...]:
    texts = np.full((len(x), 1), b"", np.object_)
    return tensor_check(MANIFEST)({"x": x, "count": np.zeros((len(x), 1), np.int64), "text": texts})


def with_cell(row: int, place: int, value: float) -> "np.typing.NDArray[np.float32]":
    changed = NUMBERS.copy()
    changed[row, place] = value
    return changed


def test_finite_numbers_pass() -> None:
    assert check(NUMBERS) == ()


def test_nan_passes_where_the_model_imputes_and_is_told() -> None:
    assert check(with_cell(1, 1, np.nan)) == ("imputed.imputed",)


@pytest.mark.parametrize(
    ("place", "value", "column_name", "reason"),
    [
        (0, np.nan, "needed", "MISSING_VALUE"),
        (0, np.inf, "needed", "NUMBER_OUT_OF_RANGE"),
        (1, -np.inf, "imputed", "NUMBER_OUT_OF_RANGE"),
    ],
)
def test_what_the_column_does_not_take_is_refused_by_row_and_column(
    place: int, value: float, column_name: str, reason: str
) -> None:
    with pytest.raises(ServingError, match=f"row 2, column '{column_name}'") as raised:
        check(with_cell(2, place, value))
    assert (raised.value.reason, raised.value.field) == (reason, "inputs.x")


def test_a_tensor_of_another_width_is_refused() -> None:
    with pytest.raises(ServingError, match="2 columns are needed, got 3"):
        check(np.zeros((1, 3), np.float32))


CLOSED = pb.ModelManifest(
    name="m",
    inputs=[
        pb.TensorSpec(name="x", data_type=pb.DATA_TYPE_FP32, shape=[-1, 2]),
        pb.TensorSpec(name="text", data_type=pb.DATA_TYPE_BYTES, shape=[-1, 1]),
    ],
    table=pb.TablePreprocessing(
        columns=[
            column("any", 0, pb.MISSING_POLICY_REJECT),
            column("size", 1, pb.MISSING_POLICY_IMPUTE, known=("0.1", "2")),
            column("kind", 0, pb.MISSING_POLICY_REJECT, "text", known=("a", "b")),
        ]
    ),
)


def check_closed(size: float, kind: bytes) -> tuple[str, ...]:
    x = np.array([[7, 2], [8, size]], np.float32)
    return tensor_check(CLOSED)({"x": x, "text": np.array([[b"a"], [kind]], np.object_)})


@pytest.mark.parametrize(("size", "told"), [(0.1, ()), (2, ()), (np.nan, ("imputed.size",))])
def test_categories_and_what_the_model_imputes_pass(size: float, told: tuple[str, ...]) -> None:
    assert check_closed(size, b"b") == told


IMPUTED_TEXTS = pb.ModelManifest(
    name="m",
    inputs=[pb.TensorSpec(name="text", data_type=pb.DATA_TYPE_BYTES, shape=[-1, 3])],
    table=pb.TablePreprocessing(
        columns=[
            column("open", 0, pb.MISSING_POLICY_IMPUTE, "text"),
            column("closed", 1, pb.MISSING_POLICY_IMPUTE, "text", known=("a",)),
            column("with empty", 2, pb.MISSING_POLICY_IMPUTE, "text", known=("", "a")),
        ]
    ),
)


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ([b"any", b"a", b""], ()),
        ([b"", b"a", b"a"], ("imputed.open",)),
        ([b"any", b"", b"a"], ("imputed.closed",)),
        ([b"", b"", b""], ("imputed.closed", "imputed.open")),
    ],
)
def test_the_empty_text_is_a_missing_value_unless_it_is_a_category(cells: list[bytes], told: tuple[str, ...]) -> None:
    rows = np.array([[b"any", b"a", b"a"], cells], np.object_)
    assert tensor_check(IMPUTED_TEXTS)({"text": rows}) == told


@pytest.mark.parametrize(
    ("size", "kind", "told", "field"),
    [
        (0.3, b"a", "row 1, column 'size': expected one of 0.1, 2, got 0.3", "inputs.x"),
        (2, b"", "row 1, column 'kind': expected one of 'a', 'b', got ''", "inputs.text"),
        (2, b"\xff", "row 1, column 'kind': expected one of 'a', 'b', got '\ufffd'", "inputs.text"),
    ],
)
def test_what_a_closed_column_does_not_know_is_refused_by_row_and_column(
    size: float, kind: bytes, told: str, field: str
) -> None:
    with pytest.raises(ServingError) as raised:
        check_closed(size, kind)
    assert (raised.value.reason, raised.value.field) == ("UNKNOWN_CATEGORY", field)
    assert told in str(raised.value)
