"""Workers on a card that is acted out: graphs are warmed where they are replayed, and the CPU decodes while it runs."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

import grpc
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from services.runtime.capture_gate import CaptureGate
from services.runtime.devices import Execution, Wanted, executions
from services.runtime.front import Array, TypedRoute
from services.runtime.serving_config import ServingConfig
from services.runtime.typed_method import TaskCode, erased
from tests.acted_card import LIGHTNING, TOO_MUCH, Card, acted_card
from tests.e2e.traffic import field as proto_field
from tests.unit.services.runtime.served import Served, code
from tests.unit.services.runtime.tiny import model_of, scaling_graph, write_version

Serve = Callable[..., Served]


@pytest.fixture
def card() -> Iterator[Card]:
    with acted_card() as card:
        yield card


def on_card(model: str, config: ServingConfig) -> tuple[Execution, ...]:
    wanted = Wanted("cuda", 1, config.instances, graph_rows=config.graph_rows, options=config.provider_options)
    return executions(wanted, CaptureGate())


def loaded(served: Served, serving: str = "") -> Served:
    write_version(served.models, graph=scaling_graph(2))
    (served.models / "tiny" / "serving.yaml").write_text(serving)
    served.repository.load_all()
    assert served.states() == {"tiny/1": "READY*"}
    return served


def test_a_worker_captures_its_graphs_before_its_first_batch(card: Card, serve: Serve) -> None:
    served = loaded(serve(executions=on_card), "cuda_graphs: true\npreferred_batch_rows: [2, 4]\ninstances: 2\n")
    assert served.infer((1, 2, 3)) == [[2, 4, 6]]
    by_thread: dict[str, list[str]] = {}
    for thread, graph, _ in card.runs:
        by_thread.setdefault(thread, []).append(graph)
    assert by_thread["tiny/1#0"][:3] == by_thread["tiny/1#1"][:3] == ["-1", "4", "2"]


def test_a_load_runs_the_largest_batch_first_and_captures_nothing(card: Card, serve: Serve) -> None:
    serving = "cuda_graphs: true\npreferred_batch_rows: [2, 4]\nmax_batch_rows: 8\ninstances: 1\n"
    loaded(serve(executions=on_card), serving)
    here = threading.current_thread().name
    of_load = [(graph, rows) for (thread, graph, _), rows in zip(card.runs, card.rows, strict=True) if thread == here]
    assert of_load == [("-1", 8), ("-1", 4), ("-1", 2), ("-1", 1)]


def test_a_version_that_comes_back_to_memory_captures_its_graphs_anew(card: Card, serve: Serve) -> None:
    """Each of the two leaves for the other, and takes nothing of what was captured along."""
    serving = "cuda_graphs: true\npreferred_batch_rows: [2, 4]\nmax_batch_rows: 8\ninstances: 1\n"
    served = serve(executions=on_card, memory_budget_bytes=300, held=lambda: 0)
    for model in ("tiny", "other"):
        write_version(served.models, model, graph=scaling_graph(2))
        (served.models / model / "serving.yaml").write_text(serving)
    served.repository.load_all()
    for model in ("tiny", "other") * 3:
        for rows in (1, 3, 8, 2, 4):
            assert served.infer(*[(1, 2, 3)] * rows, model=model) == [[2, 4, 6]] * rows


def test_a_share_that_the_weights_exceed_is_refused_with_both_numbers(card: Card, serve: Serve) -> None:
    table = numpy_helper.from_array(np.ones((2 << 18, 3), np.float32), "table")
    node = helper.make_node("Mul", ["x", "first"], ["y"])
    first = helper.make_node("ReduceMax", ["table"], ["first"], keepdims=0)
    shape = ["rows", 3]
    graph = model_of(
        [first, node],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [table],
    )
    served = serve(executions=lambda _model, _config: executions(Wanted("cuda", 1, 2, memory_mb=10), CaptureGate()))
    write_version(served.models, graph=graph)
    served.repository.load_all()
    [status] = served.repository.statuses()
    assert status.reason == "device_memory_mb: model.onnx alone needs 6.0 MiB, an instance has 5"


def test_a_version_that_tensorrt_runs_is_ready(card: Card, serve: Serve, tmp_path: Path) -> None:
    wanted = Wanted("tensorrt", 1, 1, engine_cache_dir=tmp_path / "engines")
    served = serve(executions=lambda _model, _config: executions(wanted, CaptureGate()))
    write_version(served.models)
    served.repository.load_all()
    assert served.states() == {"tiny/1": "READY*"}


def test_a_batch_is_padded_to_a_graphs_size(card: Card, serve: Serve) -> None:
    served = loaded(serve(executions=on_card), "cuda_graphs: true\npreferred_batch_rows: [4]\ninstances: 1\n")
    assert served.infer((1, 2, 3), (4, 5, 6), (7, 8, 9)) == [[2, 4, 6], [8, 10, 12], [14, 16, 18]]
    assert card.runs[-1][1] == "4"


def test_a_full_card_refuses_one_request_and_answers_the_next(card: Card, serve: Serve) -> None:
    served = loaded(serve(executions=on_card))
    assert code(lambda: served.infer((TOO_MUCH, 0, 0))) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert served.infer((1, 2, 3)) == [[2, 4, 6]]


def test_a_card_that_is_lost_tells_callers_to_go_elsewhere_and_whoever_ends_the_process(
    card: Card, serve: Serve
) -> None:
    faults: SimpleQueue[str] = SimpleQueue()
    served = loaded(serve(executions=on_card, on_fault=faults.put))
    assert code(lambda: served.infer((LIGHTNING, 0, 0))) is grpc.StatusCode.UNAVAILABLE
    assert "CUDA failure 700" in faults.get(timeout=10)


def test_a_card_may_be_lost_while_the_requests_of_a_batch_run_alone(card: Card, serve: Serve) -> None:
    faults: SimpleQueue[str] = SimpleQueue()
    together = "instances: 1\nmax_batch_rows: 2\nmax_wait_us: 1000000\n"
    served = loaded(serve(executions=on_card, on_fault=faults.put), together)
    with ThreadPoolExecutor(2) as callers:  # for both at once there is no room
        calls = [callers.submit(served.infer, (value, 0.0, 0.0)) for value in (TOO_MUCH, LIGHTNING)]
        assert code(calls[1].result) is grpc.StatusCode.UNAVAILABLE
    assert "CUDA failure 700" in faults.get(timeout=10)


def test_a_card_that_is_lost_during_a_load_ends_the_process_too(card: Card, serve: Serve) -> None:
    def lose_it() -> None:
        raise RuntimeError("Error in execution: CUDA failure 719: unspecified launch failure ; GPU=0")

    faults: list[str] = []
    served = serve(executions=on_card, on_fault=faults.append)
    card.in_run = lose_it
    write_version(served.models)
    served.repository.load_all()
    assert (served.states(), len(faults)) == ({"tiny/1": "REFUSED"}, 1)


SCALE = TypedRoute("/test.Rows/Scale", 3, "rows")


@dataclass(slots=True)
class Watched:
    """A typed method that tells when it decodes the second request."""

    second_is_decoded: threading.Event = field(default_factory=threading.Event)
    decoded: int = 0

    @property
    def route(self) -> TypedRoute:
        return SCALE

    def decode(self, message: bytes) -> bytes:
        self.decoded += 1
        if self.decoded == 2:
            self.second_is_decoded.set()
        return message

    def collate(self, requests: Sequence[bytes]) -> dict[str, Array]:
        return {"x": np.ones((len(requests), 3), np.float32)}

    def row_lengths(self, requests: Sequence[bytes]) -> Sequence[int]:
        return ()

    def encode(self, request: bytes, outputs: Mapping[str, Array]) -> bytes:
        return outputs["y"].tobytes()


def test_the_next_batch_is_decoded_while_one_runs_on_the_card(card: Card, serve: Serve) -> None:
    watched = Watched()
    task_code = TaskCode(erased(lambda _manifest, _folder: (watched,)))
    served = loaded(serve(routes=[SCALE], executions=on_card, task_code=task_code), "max_batch_rows: 1\ninstances: 2\n")
    overlapped: list[bool] = []

    def first_run_waits_for_the_second_decode() -> None:
        if not overlapped:
            overlapped.append(watched.second_is_decoded.wait(10))

    card.in_run = first_run_waits_for_the_second_decode
    send = served.channel.unary_unary(SCALE.method)
    message = proto_field(1, b"tiny") + proto_field(SCALE.rows_field, b"row")
    calls = [send.future(message, 20) for _ in range(2)]
    assert [np.frombuffer(call.result(), np.float32).tolist() for call in calls] == [[2, 2, 2]] * 2
    assert overlapped[0]
