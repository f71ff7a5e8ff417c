"""Runs through a worker's own memory: the same answers as plain runs, and a plain run wherever that cannot be."""

import gc
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from structlog.testing import capture_logs

from services.runtime.batch_buffers import MAX_ROW_COUNTS, BatchBuffers, BufferedRows
from services.runtime.errors import ServingError
from services.runtime.front import Array
from services.runtime.tensors import DTYPES
from tests.unit.services.runtime.tiny import lookup_graph, model_of, scaling_graph, session, slow_graph

ROWS = 8


def buffers(x: Array, y_row: Sequence[int], dtype: object = np.float32) -> BatchBuffers:
    """Memory for the rows of x, and of y, which is full of sevens."""
    return BatchBuffers({"x": x}, {"y": np.full((len(x), *y_row), 7, dtype)})


def buffered(of: BatchBuffers, row_count: int) -> BufferedRows:
    rows = of.rows(row_count, True)
    assert isinstance(rows, BufferedRows)
    return rows


def test_each_number_of_rows_is_run_in_its_memory(tmp_path: Path) -> None:
    x = np.arange(3 * ROWS, dtype=np.float32).reshape(ROWS, 3)
    loaded, own = session(tmp_path, scaling_graph(2)), buffers(x, (3,))
    for row_count in (1, ROWS, 3, 1):
        rows = buffered(own, row_count)
        outputs = loaded.start().outputs(rows)
        assert outputs is rows.outputs
        np.testing.assert_array_equal(outputs["y"], 2 * x[:row_count])
        x += 1


def test_workers_run_one_session_side_by_side(tmp_path: Path) -> None:
    loaded = session(tmp_path, slow_graph())
    own = [buffered(buffers(np.full((ROWS, 3), number, np.float32), (3,)), 2) for number in range(4)]
    with ThreadPoolExecutor(len(own)) as workers:
        found = list(workers.map(lambda rows: loaded.start().outputs(rows)["y"].tolist(), own))
    assert found == [[[number] * 3] * 2 for number in range(4)]


@pytest.mark.parametrize("datatype", sorted(set(DTYPES) - {"BYTES"}))
def test_every_number_is_bound(datatype: str, tmp_path: Path) -> None:
    dtype = DTYPES[datatype]
    kind = helper.np_dtype_to_tensor_dtype(dtype)
    graph = model_of(
        [helper.make_node("Identity", ["x"], ["y"])],
        [helper.make_tensor_value_info("x", kind, ["rows", 2])],
        [helper.make_tensor_value_info("y", kind, ["rows", 2])],
        [],
    )
    x = np.array([[0, 1]] * ROWS).astype(dtype)
    with capture_logs() as logs:
        rows = buffered(buffers(x, (2,), dtype), 3)
        assert session(tmp_path, graph).start().outputs(rows) is rows.outputs
    np.testing.assert_array_equal(rows.outputs["y"], x[:3])
    assert not logs


def test_what_is_wrong_with_the_inputs_is_told_and_the_next_batch_is_bound_again(tmp_path: Path) -> None:
    x = np.full((ROWS, 1), 9, np.int64)
    loaded, rows = session(tmp_path, lookup_graph()), buffered(buffers(x, (1, 2)), 2)
    with pytest.raises(ServingError) as raised:
        loaded.start().outputs(rows)
    assert raised.value.reason == "VALUE_OUT_OF_RANGE"
    x[:] = 1
    assert loaded.start().outputs(rows) is rows.outputs
    assert rows.outputs["y"].tolist() == [[[2, 3]], [[2, 3]]]


def test_outputs_of_another_shape_than_was_said_are_run_plainly_from_then_on(tmp_path: Path) -> None:
    graph = model_of(
        [helper.make_node("NonZero", ["x"], ["places"]), helper.make_node("Transpose", ["places"], ["y"])],
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["rows", 1])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, ["found", 2])],
        [],
    )
    x = np.array([[1], [0], [1], [1], [0], [0], [0], [0]])
    loaded, rows = session(tmp_path, graph), buffered(buffers(x, (2,), np.int64), 4)
    with capture_logs() as logs:
        found = [loaded.start().outputs(rows) for _ in range(2)]
    assert [outputs["y"].tolist() for outputs in found] == [[[0, 0], [2, 0], [3, 0]]] * 2
    assert [log["event"] for log in logs] == ["runs without buffers"]


def test_a_run_in_memory_can_be_ended(tmp_path: Path) -> None:
    loaded = session(tmp_path, slow_graph())
    rows = buffered(buffers(np.zeros((ROWS, 3), np.float32), (3,)), 1)
    run = loaded.start()
    run.terminate()
    with pytest.raises(Exception, match="terminate"):
        run.outputs(rows)
    loaded.start().outputs(rows)
    assert rows.outputs["y"].tolist() == [[0, 0, 0]]


def test_options_of_a_run_that_is_over_are_used_again(tmp_path: Path) -> None:
    loaded = session(tmp_path, scaling_graph(2))
    first = loaded.start()
    first.give_back()
    assert len(loaded.options) == 1
    second, third = loaded.start(), loaded.start()
    assert not loaded.options
    for run in (second, third):
        assert run.outputs({"x": np.ones((1, 3), np.float32)})["y"].tolist() == [[2, 2, 2]]


def test_a_worker_keeps_no_session_by_its_memory(tmp_path: Path) -> None:
    loaded = session(tmp_path, scaling_graph(2))
    rows = buffered(buffers(np.ones((ROWS, 3), np.float32), (3,)), 1)
    loaded.start().outputs(rows)
    left = weakref.ref(loaded)
    del loaded
    gc.collect()
    assert left() is None
    again = session(tmp_path, scaling_graph(3))
    assert again.start().outputs(rows)["y"].tolist() == [[3, 3, 3]]


def test_more_numbers_of_rows_than_are_kept_run_like_any_other(tmp_path: Path) -> None:
    x = np.ones((MAX_ROW_COUNTS + 1, 3), np.float32)
    own = buffers(x, (3,))
    kinds = [isinstance(own.rows(row_count, True), BufferedRows) for row_count in range(1, MAX_ROW_COUNTS + 2)]
    assert kinds == [True] * MAX_ROW_COUNTS + [False]
    assert own.rows(1, True) is own.rows(1, True)
    outputs = session(tmp_path, scaling_graph(2), row_limit=len(x)).start().outputs(own.rows(MAX_ROW_COUNTS + 1, True))
    assert outputs["y"].tolist() == [[2, 2, 2]] * len(x)
