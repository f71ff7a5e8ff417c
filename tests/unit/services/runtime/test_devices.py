"""What ONNX Runtime is told of a device, decided without one."""

from pathlib import Path

import pytest

from services.runtime.capture_gate import CaptureGate
from services.runtime.device_buffers import HOST, Place
from services.runtime.devices import Execution, Wanted, device_name, executions
from services.runtime.errors import ServingError

CPU = Execution("cpu", 3, {"a": "b"})


def on_cards(
    instances: int = 2,
    device_ids: tuple[int, ...] = (0,),
    memory_mb: int = 0,
    provider: str = "cuda",
    graph_rows: tuple[int, ...] = (),
    **options: str,
) -> tuple[Execution, ...]:
    wanted = Wanted(provider, 1, instances, device_ids, memory_mb, options, graph_rows, Path("engines"))
    return executions(wanted, CaptureGate())


def test_on_the_cpu_all_instances_share_one_session() -> None:
    assert executions(Wanted("cpu", 3, 4, (0, 1), 100, {"a": "b"}), CaptureGate()) == (CPU,)


def test_on_a_card_every_instance_has_a_session_and_the_cards_are_taken_in_turn() -> None:
    assert [e.options["device_id"] for e in on_cards(instances=5, device_ids=(2, 3))] == ["2", "3", "2", "3", "2"]


def test_a_models_share_of_a_card_is_divided_among_its_instances_there() -> None:
    found = on_cards(instances=3, device_ids=(0, 1), memory_mb=1000)
    assert [e.options["gpu_mem_limit"] for e in found] == [str(mb << 20) for mb in (500, 1000, 500)]


def test_a_part_of_a_share_is_never_so_small_that_it_is_no_limit() -> None:
    assert {e.memory_limit_bytes for e in on_cards(instances=3, memory_mb=2)} == {1 << 20}
    [execution] = on_cards(instances=1, provider="tensorrt", memory_mb=1)
    [(_, rest)] = execution.others
    assert (execution.options["trt_max_workspace_size"], rest["gpu_mem_limit"]) == (str(1 << 20), str(1 << 20))


def test_without_a_share_tensorrt_has_no_limit() -> None:
    [execution] = on_cards(instances=1, provider="tensorrt")
    [(_, rest)] = execution.others
    assert {"trt_max_workspace_size", "gpu_mem_limit"}.isdisjoint({*execution.options, *rest})


def test_without_a_share_there_is_no_limit() -> None:
    assert ("gpu_mem_limit" in on_cards()[0].options, on_cards()[0].memory_limit_bytes) == (False, 0)


def test_cudnn_searches_by_heuristic_the_arena_grows_by_what_is_asked_for_and_products_are_not_shortened() -> None:
    options = on_cards()[0].options
    assert (options["cudnn_conv_algo_search"], options["arena_extend_strategy"], options["use_tf32"]) == (
        "HEURISTIC",
        "kSameAsRequested",
        "0",
    )


def test_the_operators_options_win() -> None:
    assert on_cards(cudnn_conv_algo_search="EXHAUSTIVE")[0].options["cudnn_conv_algo_search"] == "EXHAUSTIVE"


@pytest.mark.parametrize("option", ["device_id", "gpu_mem_limit", "enable_cuda_graph", "user_compute_stream"])
def test_what_the_service_decides_itself_is_no_option(option: str) -> None:
    with pytest.raises(ServingError, match=rf"provider_options\.{option}: ") as raised:
        on_cards(**{option: "1"})
    assert raised.value.reason == "SERVING_CONFIG_WRONG"


def test_cuda_graphs_are_switched_on_where_sizes_are_named() -> None:
    assert (on_cards(graph_rows=(4, 8))[0].options["enable_cuda_graph"], on_cards()[0].graph_rows) == ("1", ())


@pytest.mark.parametrize("provider", ["cpu", "tensorrt"])
def test_cuda_graphs_need_the_cuda_provider(provider: str) -> None:
    with pytest.raises(ServingError, match=f"cuda_graphs: needs the provider cuda, and this model's is {provider}"):
        on_cards(provider=provider, graph_rows=(4,))


def test_all_sessions_of_a_process_share_its_gate() -> None:
    gate = CaptureGate()
    assert {id(e.gate) for e in executions(Wanted("cuda", 1, 3), gate)} == {id(gate)}


def test_tensorrt_computes_fp32_as_fp32() -> None:
    options = on_cards(provider="tensorrt")[0].options
    assert (options["trt_fp16_enable"], options["trt_bf16_enable"], options["trt_int8_enable"]) == ("False",) * 3


def test_what_tensorrt_leaves_runs_on_the_same_card_and_both_share_the_memory() -> None:
    execution = on_cards(instances=1, device_ids=(3,), provider="tensorrt", memory_mb=1001)[0]
    [(other, options)] = execution.others
    assert (other, options["device_id"], execution.options["device_id"]) == ("cuda", "3", "3")
    assert execution.options["trt_max_workspace_size"] == str(500 << 20)
    assert options["gpu_mem_limit"] == str(501 << 20)


@pytest.mark.parametrize(
    ("found", "name"),
    [((Execution(),), "cpu"), (on_cards(), "cuda:0"), (on_cards(instances=3, device_ids=(0, 1)), "cuda:0,1")],
)
def test_a_device_is_named_for_the_trailers(found: tuple[Execution, ...], name: str) -> None:
    assert device_name(found) == name


@pytest.mark.parametrize(
    ("execution", "place"), [(Execution(), HOST), (on_cards(device_ids=(2,))[0], Place("cuda", 2))], ids=["cpu", "card"]
)
def test_buffers_are_where_the_session_is(execution: Execution, place: Place) -> None:
    assert execution.place == place
