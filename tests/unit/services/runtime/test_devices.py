"""What ONNX Runtime is told of a device, decided without one."""

import pytest

from services.runtime.devices import Execution, device_name, executions, is_device_fault


def on_cards(
    instances: int = 2, device_ids: tuple[int, ...] = (0,), memory_mb: int = 0, provider: str = "cuda", **options: str
) -> tuple[Execution, ...]:
    return executions(provider, 1, instances=instances, device_ids=device_ids, memory_mb=memory_mb, options=options)


def test_on_the_cpu_all_instances_share_one_session() -> None:
    found = executions("cpu", 3, instances=4, device_ids=(0, 1), memory_mb=100, options={"a": "b"})
    assert found == (Execution("cpu", 3, {"a": "b"}),)


def test_on_a_card_every_instance_has_a_session_and_the_cards_are_taken_in_turn() -> None:
    assert [e.options["device_id"] for e in on_cards(instances=5, device_ids=(2, 3))] == ["2", "3", "2", "3", "2"]


def test_a_models_share_of_a_card_is_divided_among_its_instances_there() -> None:
    found = on_cards(instances=3, device_ids=(0, 1), memory_mb=1000)
    assert [e.options["gpu_mem_limit"] for e in found] == [str(mb << 20) for mb in (500, 1000, 500)]


def test_without_a_share_there_is_no_limit() -> None:
    assert "gpu_mem_limit" not in on_cards()[0].options


def test_cudnn_searches_by_heuristic_and_the_arena_grows_by_what_is_asked_for() -> None:
    options = on_cards()[0].options
    assert (options["cudnn_conv_algo_search"], options["arena_extend_strategy"]) == ("HEURISTIC", "kSameAsRequested")


def test_the_operators_options_win() -> None:
    assert on_cards(cudnn_conv_algo_search="EXHAUSTIVE")[0].options["cudnn_conv_algo_search"] == "EXHAUSTIVE"


def test_tensorrt_is_told_the_card_alone() -> None:
    assert on_cards(provider="tensorrt", memory_mb=1000)[0].options == {"device_id": "0"}


@pytest.mark.parametrize(
    ("found", "name"),
    [((Execution(),), "cpu"), (on_cards(), "cuda:0"), (on_cards(instances=3, device_ids=(0, 1)), "cuda:0,1")],
)
def test_a_device_is_named_for_the_trailers(found: tuple[Execution, ...], name: str) -> None:
    assert device_name(found) == name


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=a", True),
        ("CUDNN failure 4: CUDNN_STATUS_INTERNAL_ERROR ; GPU=0", True),
        ("CUBLAS failure 14: CUBLAS_STATUS_INTERNAL_ERROR", True),
        ("CUDA failure 2: out of memory ; GPU=0", False),
        ("Failed to allocate memory for requested buffer of size 1024", False),
        ("Exiting due to terminate flag being set to true.", False),
    ],
)
def test_what_ends_a_device_is_told_from_what_does_not(text: str, lost: bool) -> None:
    assert is_device_fault(text) is lost
