"""Sessions on a CUDA card: they answer as on the CPU, one at a time and beside each other, within their memory."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
import pytest

from services.runtime.card import Staging, cuda_library
from services.runtime.errors import ServingError
from tests.e2e.traffic import MODELS
from tests.gpu.card import NEEDS_CARD, ROW_LIMIT, assert_equal, kept_rows, models, repeated, session, sessions, why_not

pytestmark = NEEDS_CARD

# Whose rows alone vary, and whose every operator CUDA has: of the tables' it lacks the first.
CAPTURED = ("digits", "digits-functional", "mobilenet")


def test_there_are_reference_models() -> None:
    assert models(), f"none in {MODELS}: make models"


@pytest.mark.parametrize("model", models())
def test_a_reference_model_answers_on_the_card_as_on_the_cpu(model: str) -> None:
    card, cpu = session(model), session(model, "cpu")
    for rows in kept_rows(model):
        assert_equal(model, card.start().outputs(rows), cpu.start().outputs(rows))


@pytest.mark.parametrize("row_count", [1, 3, 32])
@pytest.mark.parametrize("model", ["digits", "minilm", "mobilenet"])
def test_a_batch_of_any_size_is_answered_row_by_row(model: str, row_count: int) -> None:
    batch = repeated(kept_rows(model)[0], row_count)
    assert_equal(model, session(model).start().outputs(batch), session(model, "cpu").start().outputs(batch))


def test_buffers_that_are_used_again_hold_the_new_rows() -> None:
    card = session("digits")
    rows = kept_rows("digits")[0]
    batches = [{name: values[start : start + 2] for name, values in rows.items()} for start in (0, 2, 0)]
    first, second, third = (card.start().outputs(batch)["probabilities"] for batch in batches)
    np.testing.assert_array_equal(first, third)
    assert not np.array_equal(first, second)


def test_pages_can_be_locked_for_the_card() -> None:
    assert Staging((32, 3, 224, 224), np.dtype(np.float32), cuda_library(onnxruntime.cuda_version)).is_locked


@pytest.mark.parametrize("model", CAPTURED)
def test_a_replayed_graph_answers_as_a_run_does(model: str) -> None:
    captured, plain = session(model, graph_rows=(4, 8)), session(model)
    for row_count, shift in ((4, 0), (4, 1), (8, 2), (3, 0), (4, 3)):
        rows = {name: np.roll(values, shift, axis=0) for name, values in kept_rows(model)[0].items()}
        batch = repeated(rows, row_count)
        assert_equal(model, captured.start().outputs(batch), plain.start().outputs(batch))


def test_graphs_are_captured_and_replayed_by_threads_beside_each_other() -> None:
    both = sessions("digits", graph_rows=(4,))
    batch = repeated(kept_rows("digits")[0], 4)
    wanted = session("digits", "cpu").start().outputs(batch)
    with ThreadPoolExecutor(2) as threads:
        for found in threads.map(lambda number: both[number % 2].start().outputs(batch), range(40)):
            assert_equal("digits", found, wanted)


def test_two_instances_answer_beside_each_other() -> None:
    both = sessions("mobilenet")
    batches = [repeated(kept_rows("mobilenet")[0], row_count) for row_count in (4, 7)]
    wanted = [session("mobilenet", "cpu").start().outputs(batch) for batch in batches]
    with ThreadPoolExecutor(2) as threads:
        for number in range(20):
            runs = [threads.submit(both[place].start().outputs, batches[place]) for place in range(2)]
            for place, run in enumerate(runs):
                assert_equal("mobilenet", run.result(), wanted[place]), number


def test_a_batch_that_exceeds_the_sessions_memory_is_refused_and_a_smaller_one_answered() -> None:
    card = session("mobilenet", memory_mb=512)
    rows = kept_rows("mobilenet")[0]
    with pytest.raises(ServingError) as raised:
        card.start().outputs(repeated(rows, ROW_LIMIT))
    assert raised.value.reason == "DEVICE_MEMORY"
    assert_equal(
        "mobilenet",
        card.start().outputs(repeated(rows, 1)),
        session("mobilenet", "cpu").start().outputs(repeated(rows, 1)),
    )


@pytest.mark.skipif(bool(why_not("tensorrt")), reason=why_not("tensorrt"))
@pytest.mark.parametrize("model", ["digits", "digits-functional"])
def test_tensorrt_answers_as_the_cpu_does(model: str) -> None:
    batch = repeated(kept_rows(model)[0], 4)
    assert_equal(model, session(model, "tensorrt").start().outputs(batch), session(model, "cpu").start().outputs(batch))
