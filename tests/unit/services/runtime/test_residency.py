"""Models that do not all fit into memory: who leaves, who comes back, and that nobody is the worse for it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from weakref import WeakSet

import grpc
import pytest

from argosy.v1.manifest_pb2 import FileDigest, ModelManifest
from services.runtime.devices import Execution
from services.runtime.errors import Cause, ServingError
from services.runtime.residency import Residency, Resident
from services.runtime.serving_config import ServingConfig
from services.runtime.stages import StageCounts
from tests.unit.services.runtime.served import Served, code, refusal
from tests.unit.services.runtime.tiny import scaling_graph, write_version

Serve = Callable[..., Served]
ROW = (1.0, 2.0, 3.0)
GRAPH_BYTES = len(scaling_graph())


def serve_models(serve: Serve, *models: str, room_for: int) -> Served:
    """Models by the factor of their names' place, in a memory that has room for so many of them."""
    served = serve(memory_budget_bytes=room_for * GRAPH_BYTES, held=lambda: 0)
    for factor, model in enumerate(models, start=1):
        write_version(served.models, model, graph=scaling_graph(factor))
    served.repository.load_all()
    return served


def in_memory(served: Served) -> set[str]:
    return {model for model, _, size_bytes in served.repository.memory() if size_bytes}


def test_without_a_budget_everything_stays(serve: Serve) -> None:
    served = serve()
    for model in ("a", "b", "c"):
        write_version(served.models, model)
    served.repository.load_all()
    assert in_memory(served) == {"a", "b", "c"}


def test_the_least_recently_used_leaves(serve: Serve) -> None:
    served = serve_models(serve, "a", "b", room_for=2)
    served.infer(ROW, model="b")
    served.infer(ROW, model="a")
    write_version(served.models, "c")
    served.repository.load("c")
    assert in_memory(served) == {"a", "c"}


def test_what_has_left_is_ready_all_the_same_and_says_why_it_will_be_slow(serve: Serve) -> None:
    served = serve_models(serve, "a", "b", room_for=1)
    assert served.states() == {"a/1": "READY*", "b/1": "READY*"}
    assert [status.reason for status in served.repository.statuses()] == [
        "not in memory: the next request loads it",
        "",
    ]


def test_a_request_brings_back_what_has_left(serve: Serve) -> None:
    served = serve_models(serve, "a", "b", room_for=1)
    assert served.infer(ROW, model="a") == [[1, 2, 3]]
    assert in_memory(served) == {"a"}


def test_requests_that_come_together_cause_one_load(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    served = serve_models(serve, "a", "b", room_for=1)
    capsys.readouterr()
    with ThreadPoolExecutor(16) as callers:
        found = [callers.submit(served.infer, ROW, model="a") for _ in range(16)]
    assert [answer.result() for answer in found] == [[[1, 2, 3]]] * 16
    assert capsys.readouterr().out.count("in memory") == 1


def test_no_answer_is_lost_or_wrong_while_models_push_each_other_out(serve: Serve) -> None:
    served = serve_models(serve, "a", "b", "c", room_for=1)

    def ask(model: str) -> list[list[list[float]]]:
        return [served.infer(ROW, model=model) for _ in range(30)]

    with ThreadPoolExecutor(6) as callers:
        found = [(callers.submit(ask, model), factor) for model, factor in (("a", 1), ("b", 2), ("c", 3)) * 2]
    for answers, factor in found:
        assert answers.result() == [[[factor * x for x in ROW]]] * 30
    assert len(in_memory(served)) == 1


def test_a_model_larger_than_the_budget_is_refused(serve: Serve) -> None:
    served = serve(memory_budget_bytes=GRAPH_BYTES - 1)
    write_version(served.models)
    assert refusal(lambda: served.repository.load("tiny")) == "OVER_MEMORY_BUDGET"
    assert served.states() == {"tiny/1": "REFUSED"}


def test_a_model_is_charged_with_what_the_process_grew_by(serve: Serve) -> None:
    held = iter([1000, 1000 + 5 * GRAPH_BYTES])
    served = serve(memory_budget_bytes=5 * GRAPH_BYTES, held=lambda: next(held))
    write_version(served.models)
    served.repository.load_all()
    assert served.repository.memory() == [("tiny", "1", 5 * GRAPH_BYTES)]


@dataclass(frozen=True, eq=False)
class Network:
    """What a load leaves in memory, for as long as somebody has it."""

    size_bytes: int
    memory: "WeakSet[Network]"
    stages: StageCounts = field(default_factory=StageCounts)
    sequences: None = None

    def __post_init__(self) -> None:
        self.memory.add(self)


def test_a_model_that_pushes_another_out_is_charged_with_all_that_is_its_own() -> None:
    memory: WeakSet[Network] = WeakSet()
    residency = Residency(700, lambda: sum(network.size_bytes for network in memory))

    def added(size_bytes: int) -> Resident:
        manifest = ModelManifest(files=[FileDigest(size_bytes=200)])
        return residency.add(manifest, lambda: Network(size_bytes, memory))

    first, second = added(600), added(650)
    assert (first.loaded, first.size_bytes, second.size_bytes) == (None, 600, 650)


def test_a_model_that_turns_out_larger_than_the_budget_is_refused(serve: Serve) -> None:
    held = iter([1000, 1001 + 5 * GRAPH_BYTES])
    served = serve(memory_budget_bytes=5 * GRAPH_BYTES, held=lambda: next(held))
    write_version(served.models)
    assert refusal(lambda: served.repository.load("tiny")) == "OVER_MEMORY_BUDGET"
    assert in_memory(served) == set()


def test_what_cannot_be_brought_back_is_unavailable(serve: Serve) -> None:
    served = serve_models(serve, "a", "b", room_for=1)
    (served.models / "a" / "1" / "model.onnx").write_bytes(b"changed")
    assert code(lambda: served.infer(ROW, model="a")) is grpc.StatusCode.UNAVAILABLE
    assert served.infer(ROW, model="b") == [[2, 4, 6]]


def test_whoever_asks_of_what_cannot_be_brought_back_is_told_what_a_request_is(serve: Serve) -> None:
    served = serve_models(serve, "a", "b", room_for=1)
    (served.models / "a" / "1" / "model.onnx").write_bytes(b"changed")
    for _ in ("tried", "not tried again so soon"):
        with pytest.raises(ServingError) as raised:
            served.repository.loaded("a")
        assert (raised.value.cause, raised.value.reason) == (Cause.UNAVAILABLE, "MODEL_NOT_IN_MEMORY")


def test_what_cannot_be_brought_back_pushes_nobody_out_again_and_again(serve: Serve) -> None:
    served = serve_models(serve, "a", "b", room_for=1)
    (served.models / "a" / "1" / "model.onnx").write_bytes(b"changed")
    assert code(lambda: served.infer(ROW, model="a")) is grpc.StatusCode.UNAVAILABLE
    assert served.infer(ROW, model="b") == [[2, 4, 6]]
    assert code(lambda: served.infer(ROW, model="a")) is grpc.StatusCode.UNAVAILABLE
    assert in_memory(served) == {"b"}


@pytest.mark.parametrize("failure", [KeyError, BaseException], ids=["an error", "a panic"])
def test_a_load_that_fails_in_a_way_nobody_foresaw_is_tried_once_and_pushes_nobody_out_again(
    serve: Serve, failure: type[BaseException]
) -> None:
    tries: list[str] = []

    def executions(model: str, config: ServingConfig) -> tuple[Execution, ...]:
        tries.append(model)
        if model == "a" and tries.count("a") > 1:
            raise failure("/secret/path")
        return (Execution("cpu"),)

    served = serve(memory_budget_bytes=GRAPH_BYTES, held=lambda: 0, executions=executions)
    for model in ("a", "b"):
        write_version(served.models, model)
        (served.models / model / "serving.yaml").write_text("instances: 1")
    served.repository.load("a")
    assert served.infer(ROW, model="a")  # from the next on a batch may be tried in place first
    served.repository.load("b")
    for _ in range(2):
        with pytest.raises(grpc.RpcError, match=r"could not be loaded again: internal error [0-9a-f]{12}") as raised:
            served.infer(ROW, model="a")
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        assert served.infer(ROW, model="b")
    assert tries == ["a", "b", "a", "b"]


def test_a_manifest_is_told_without_bringing_the_version_back(serve: Serve) -> None:
    served = serve_models(serve, "a", "b", room_for=1)
    assert served.repository.manifest("a").name == "a"
    assert in_memory(served) == {"b"}


def test_figures_outlive_a_versions_leaving(serve: Serve) -> None:
    served = serve_models(serve, "a", "b", room_for=1)
    for model in ("a", "b", "a"):
        served.infer(ROW, model=model)
    while True:
        (stages,) = [stages for stages in served.repository.stages() if stages.model == "a"]
        if stages.by_rows[1].batches == 2:
            break


def test_an_unloaded_model_makes_room(serve: Serve) -> None:
    served = serve_models(serve, "a", "b", room_for=2)
    served.repository.unload("a")
    write_version(served.models, "c")
    served.repository.load("c")
    assert in_memory(served) == {"b", "c"}
