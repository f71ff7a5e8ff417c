"""ONNX Runtime behind our own errors: what loads, what runs, and what is told of a run that fails."""

from pathlib import Path

import numpy as np
import pytest

from services.runtime.errors import Cause, ServingError
from services.runtime.session import Session
from tests.unit.services.runtime.tiny import (
    echo_graph,
    lookup_graph,
    one_hot_graph,
    scaling_graph,
    session,
    slow_graph,
)


def test_a_graph_is_run_by_the_names_of_its_tensors(tmp_path: Path) -> None:
    scaling = session(tmp_path, scaling_graph(3.0))
    assert (scaling.input_names, scaling.output_names) == (("x",), ("y",))
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(scaling.start().outputs({"x": x})["y"], 3 * x)


def test_more_rows_than_the_graph_takes_are_run_in_parts(tmp_path: Path) -> None:
    x = np.arange(21, dtype=np.float32).reshape(7, 3)
    found = session(tmp_path, scaling_graph(), row_limit=3).start().outputs({"x": x})["y"]
    np.testing.assert_array_equal(found, 2 * x)


def test_texts_go_in_and_come_out_as_bytes(tmp_path: Path) -> None:
    texts = np.array([["café".encode()], [b""]], np.object_)
    found = session(tmp_path, echo_graph()).start().outputs({"x": texts})["y"]
    assert found.tolist() == texts.tolist()


def test_a_text_that_is_not_utf8_is_the_callers_fault(tmp_path: Path) -> None:
    texts = np.array([[b"caf\xe9"]], np.object_)
    error = failure(session(tmp_path, echo_graph()), texts)
    assert (error.cause, error.reason) == (Cause.INVALID_INPUT, "NOT_UTF8")


def test_a_value_that_the_graph_does_not_take_is_the_callers_fault_and_told_in_our_words(tmp_path: Path) -> None:
    error = failure(session(tmp_path, lookup_graph()), np.array([[7]], np.int64))
    assert (error.cause, error.reason) == (Cause.INVALID_INPUT, "VALUE_OUT_OF_RANGE")
    assert "Gather" not in error.message


def test_a_category_that_the_graph_does_not_know_is_the_callers_fault(tmp_path: Path) -> None:
    error = failure(session(tmp_path, one_hot_graph()), np.array([[b"z"]], np.object_))
    assert (error.cause, error.reason) == (Cause.INVALID_INPUT, "UNKNOWN_CATEGORY")


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_that_is_not_there_is_a_refused_load(provider: str, tmp_path: Path) -> None:
    import onnxruntime

    if any(provider in name.lower() for name in onnxruntime.get_available_providers()):
        pytest.skip(f"{provider} is here")
    with pytest.raises(ServingError, match=provider) as raised:
        session(tmp_path, scaling_graph(), provider=provider)
    assert raised.value.reason == "PROVIDER_UNAVAILABLE"


@pytest.mark.parametrize("graph", [b"", b"no model", scaling_graph()[:40]], ids=["empty", "text", "cut short"])
def test_what_is_no_model_is_a_refused_load(graph: bytes, tmp_path: Path) -> None:
    with pytest.raises(ServingError) as raised:
        session(tmp_path, graph)
    assert (raised.value.cause, raised.value.reason) == (Cause.REFUSED_LOAD, "MODEL_UNLOADABLE")
    assert str(tmp_path) not in raised.value.message


def test_a_run_can_be_ended(tmp_path: Path) -> None:
    run = session(tmp_path, slow_graph()).start()
    run.terminate()
    with pytest.raises(Exception, match="terminate"):
        run.outputs({"x": np.zeros((1, 3), np.float32)})
    assert run.terminated


def failure(of: Session, x: "np.typing.NDArray[np.generic]") -> ServingError:
    with pytest.raises(ServingError) as raised:
        of.start().outputs({"x": x})
    return raised.value
