"""Sequences of a stateful model: what a step begins with, what it leaves, and when a sequence ends."""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from google.protobuf.message import Message

from inference.grpc_service_pb2 import (
    ModelConfigRequest,
    ModelConfigResponse,
    ModelMetadataRequest,
    ModelMetadataResponse,
    ModelStreamInferResponse,
)
from inference.model_config_pb2 import TYPE_FP32
from services.runtime.errors import ServingError
from services.runtime.front import TensorSignature
from services.runtime.oip import InferenceProtocol
from services.runtime.sequence_steps import waves
from services.runtime.sequences import Sequences, StateSignature, Step
from tests.contract.harness import refusal_of
from tests.unit.services.runtime.recurrent import MANIFEST, ask, step, step_request, summing_graph
from tests.unit.services.runtime.served import Served, refusal
from tests.unit.services.runtime.tiny import write_version


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sequences(clock: Clock) -> Sequences:
    """Two of them, one number each, 10 s."""
    return Sequences([StateSignature(TensorSignature("h", "FP32", (-1, 1)), "h_next")], 2, 10.0, clock)


def run(sequences: Sequences, step_: Step) -> float:
    """A step that adds one to the state; the state before it."""
    before = sequences.state_before(step_, ())["h"]
    sequences.advance(step_, {"h": before + 1})
    return float(before[0, 0])


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    found = serve()
    write_version(found.models, graph=summing_graph(), **MANIFEST)
    found.repository.load_all()
    return found


def refused(call: Callable[[], object]) -> tuple[str, str]:
    """(status, reason) that a call was answered with."""
    with pytest.raises(grpc.RpcError) as raised:
        call()
    error = refusal_of(raised.value)
    return error.code.name, error.reason


# ---- what is kept


def test_a_sequence_begins_with_zeros_and_goes_on_with_what_the_last_step_left(sequences: Sequences) -> None:
    steps = [Step(7, starts=True, ends=False), *[Step(7, starts=False, ends=False)] * 3]
    assert [run(sequences, step_) for step_ in steps] == [0, 1, 2, 3]


def test_a_start_begins_a_kept_sequence_anew(sequences: Sequences) -> None:
    steps = [Step(7, starts=start, ends=False) for start in (True, False, True, False)]
    assert [run(sequences, step_) for step_ in steps] == [0, 1, 0, 1]


def test_a_number_and_a_text_are_two_sequences(sequences: Sequences) -> None:
    run(sequences, Step(7, starts=True, ends=False))
    with pytest.raises(ServingError, match="sequence '7' is not kept here"):
        sequences.state_before(Step("7", starts=False, ends=False), ())


def test_after_its_last_step_a_sequence_is_gone(sequences: Sequences) -> None:
    run(sequences, Step(7, starts=True, ends=False))
    run(sequences, Step(7, starts=False, ends=True))
    assert sequences.count() == 0
    with pytest.raises(ServingError, match="begin a new one with sequence_start"):
        run(sequences, Step(7, starts=False, ends=False))


def test_an_idle_sequence_is_dropped_and_a_used_one_is_not(sequences: Sequences, clock: Clock) -> None:
    for name in ("idle", "used"):
        run(sequences, Step(name, starts=True, ends=False))
    clock.now_s = 6.0
    run(sequences, Step("used", starts=False, ends=False))
    clock.now_s = 11.0
    assert sequences.count() == 1
    assert run(sequences, Step("used", starts=False, ends=False)) == 2


def test_beyond_the_bound_a_new_sequence_is_told_when_to_come_back(sequences: Sequences, clock: Clock) -> None:
    run(sequences, Step(1, starts=True, ends=False))
    clock.now_s = 4.0
    run(sequences, Step(2, starts=True, ends=False))
    with pytest.raises(ServingError, match="2 sequences are kept") as raised:
        sequences.state_before(Step(3, starts=True, ends=False), ())
    assert (raised.value.reason, raised.value.retry_after_s) == ("TOO_MANY_SEQUENCES", 6.0)


def test_a_sequence_of_one_step_takes_no_room(sequences: Sequences) -> None:
    for number in (1, 2):
        run(sequences, Step(number, starts=True, ends=False))
    assert run(sequences, Step(3, starts=True, ends=True)) == 0


def test_sequences_that_begin_side_by_side_count_before_they_are_kept(sequences: Sequences) -> None:
    run(sequences, Step(1, starts=True, ends=False))
    with pytest.raises(ServingError):
        sequences.state_before(Step(3, starts=True, ends=False), {2})


def test_a_wave_has_no_sequence_twice_and_keeps_the_order_of_each() -> None:
    steps = {index: Step(name, starts=False, ends=False) for index, name in enumerate("abacab")}
    assert [list(wave) for wave in waves(steps)] == [[0, 1, 3], [2, 5], [4]]


# ---- served


def test_the_steps_of_a_sequence_see_each_other_and_not_those_of_another(served: Served) -> None:
    found = [step(served, x, sequence, start=x < 20) for x, sequence in [(1, 1), (10, "b"), (20, 1), (30, "b")]]
    assert found == [1, 10, 21, 40]


def test_steps_of_many_sequences_at_once_are_each_right(served: Served) -> None:
    def whole(sequence: int) -> list[float]:
        return [step(served, x, sequence, start=x == 1, end=x == 9) for x in range(1, 10)]

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(whole, range(1, 33))) == [list(itertools.accumulate(range(1, 10)))] * 32


def test_steps_sent_before_the_answers_have_come_run_in_their_order(served: Served) -> None:
    requests = [step_request(x, start=x == 1).SerializeToString() for x in range(1, 9)]
    stream = served.channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")(
        iter(requests), timeout=20
    )
    answers = [ModelStreamInferResponse.FromString(message).infer_response for message in stream]
    sums = [np.frombuffer(answer.raw_output_contents[0], "<f4")[0] for answer in answers]
    assert sums == list(itertools.accumulate(range(1, 9)))


def told(served: Served, method: str, request: Message) -> bytes:
    """What the Open Inference Protocol's method says."""
    protocol = InferenceProtocol(
        name="", version="", repository=served.repository, stats=served.front.stats, ready=lambda: True
    )
    return protocol.answers()[f"/inference.GRPCInferenceService/{method}"](request.SerializeToString())


def test_a_models_config_tells_its_states_and_how_many_sequences_are_kept(served: Served) -> None:
    (served.models / "tiny" / "serving.yaml").write_text("max_sequences: 9\nsequence_idle_s: 2.5")
    served.repository.load("tiny")
    config = ModelConfigResponse.FromString(told(served, "ModelConfig", ModelConfigRequest(name="tiny"))).config
    assert config.WhichOneof("scheduling_choice") == "sequence_batching"
    batching = config.sequence_batching
    assert (batching.oldest.max_candidate_sequences, batching.max_sequence_idle_microseconds) == (9, 2_500_000)
    states = [(s.input_name, s.output_name, s.data_type, list(s.dims)) for s in batching.state]
    assert states == [("sum", "new_sum", TYPE_FP32, [1])]


def test_states_are_hidden_from_callers(served: Served) -> None:
    found = ModelMetadataResponse.FromString(told(served, "ModelMetadata", ModelMetadataRequest(name="tiny")))
    assert ([t.name for t in found.inputs], [t.name for t in found.outputs]) == (["x"], ["y"])
    assert served.repository.statuses()[0].stateful


def test_a_step_of_no_known_sequence_is_wrong(served: Served) -> None:
    assert refused(lambda: step(served, 1)) == ("INVALID_ARGUMENT", "UNKNOWN_SEQUENCE")


@pytest.mark.parametrize("sequence", [None, 0, -1, ""])
def test_a_request_that_names_no_sequence_is_wrong(sequence: int | str | None, served: Served) -> None:
    assert refused(lambda: step(served, 1, sequence, start=True)) == ("INVALID_ARGUMENT", "INVALID_INPUT")


def test_a_flag_that_is_no_boolean_is_wrong(served: Served) -> None:
    request = step_request(1, start=True)
    request.parameters["sequence_end"].int64_param = 1
    assert refused(lambda: ask(served, request)) == ("INVALID_ARGUMENT", "INVALID_INPUT")


def test_a_step_of_two_rows_is_wrong(served: Served) -> None:
    request = step_request(1, start=True)
    request.inputs[0].shape[0] = 2
    request.raw_input_contents[0] *= 2
    assert refused(lambda: ask(served, request)) == ("INVALID_ARGUMENT", "TOO_MANY_ROWS")


def test_a_step_that_is_refused_has_not_happened(served: Served) -> None:
    step(served, 1, start=True)
    request = step_request(100)
    request.parameters["sequence_end"].string_param = "yes"
    assert refused(lambda: ask(served, request)) == ("INVALID_ARGUMENT", "INVALID_INPUT")
    assert step(served, 2) == 3


def test_a_version_in_the_place_of_another_knows_none_of_its_sequences(served: Served) -> None:
    step(served, 1, start=True)
    write_version(served.models, version="2", graph=summing_graph(), **MANIFEST)
    served.repository.load("tiny")
    assert refused(lambda: step(served, 2)) == ("INVALID_ARGUMENT", "UNKNOWN_SEQUENCE")


@pytest.mark.parametrize(
    "settings",
    ["cache_bytes: 1000", "instances: 3", "priority_levels: 2", "cuda_graphs: true\npreferred_batch_rows: [1]"],
)
def test_settings_that_a_state_does_not_allow_refuse_the_version(settings: str, served: Served) -> None:
    (served.models / "tiny" / "serving.yaml").write_text(settings)
    assert refusal(lambda: served.repository.load("tiny")) == "SERVING_CONFIG_WRONG"


@pytest.mark.parametrize(
    "states",
    [
        [{"input": "nosuch", "output": "new_sum"}],
        [{"input": "sum", "output": "nosuch"}],
        [{"input": "sum", "output": "new_sum"}] * 2,
        [{"input": "sum", "output": "new_sum"}, {"input": "x", "output": "y"}],
    ],
)
def test_states_that_are_none_refuse_the_version(states: list[dict[str, str]], serve: Callable[..., Served]) -> None:
    found = serve()
    write_version(found.models, graph=summing_graph(), **MANIFEST | {"states": states})
    assert refusal(lambda: found.repository.load("tiny")) == "BAD_MANIFEST"
