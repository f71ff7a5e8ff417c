"""Indices of a table, held against its length by the manifest alone."""

import numpy as np
import pytest

from argosy.v1 import manifest_pb2 as pb
from services.runtime.errors import Cause, ServingError
from services.runtime.table_indices import index_check

WORDS = pb.ModelManifest(
    inputs=[pb.TensorSpec(name="ids", table_entries=3), pb.TensorSpec(name="mask", data_type=pb.DATA_TYPE_INT64)]
)


def check(*ids: list[int]) -> None:
    index_check(WORDS)({"ids": np.array(ids, np.int64), "mask": np.full((len(ids), 2), 9)})


def test_every_entry_of_a_table_can_be_named_from_either_end() -> None:
    check([0, 2], [-1, -3])


def test_no_tokens_are_no_wrong_ones() -> None:
    check([])


@pytest.mark.parametrize("index", [3, -4, 2**62])
def test_an_index_beyond_its_table_is_the_callers_fault_and_is_told_with_its_row(index: int) -> None:
    with pytest.raises(ServingError) as raised:
        check([0, 1], [0, index])
    error = raised.value
    assert (error.cause, error.reason, error.field) == (Cause.INVALID_INPUT, "VALUE_OUT_OF_RANGE", "inputs.ids")
    assert error.message == f"input 'ids': row 1, {index} is no index of a table of 3 entries"


def test_a_manifest_without_tables_asks_for_nothing() -> None:
    index_check(pb.ModelManifest(inputs=[pb.TensorSpec(name="x")]))({"x": np.array([[7.0]])})
