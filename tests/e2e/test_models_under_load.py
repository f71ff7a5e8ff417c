"""Versions and models come, go and are refused while requests run, through the router: no error, no wrong version."""

from pathlib import Path

import pytest

from argosy.v1.vision_pb2 import VisionServiceClassifyResponse
from inference import grpc_service_pb2 as oip
from tests.e2e import traffic as t
from tests.e2e.calls import call, refused
from tests.e2e.conftest import wait_until_routed
from tests.e2e.disk import add_version, copy_models
from tests.e2e.harness import Processes, Server
from tests.e2e.load import Load
from tests.e2e.metrics import read_metrics

LOAD = "/inference.GRPCInferenceService/RepositoryModelLoad"
UNLOAD = "/inference.GRPCInferenceService/RepositoryModelUnload"

MODELS = ("digits", "digits-functional")
# The second holds some three hundred megabytes for its batches.
SMALL_AND_LARGE = ("digits", "mobilenet")
MEBIBYTE = 1 << 20


def test_versions_come_and_go_under_thousands_of_requests(processes: Processes, tmp_path: Path) -> None:
    models = copy_models(tmp_path / "models", *MODELS)
    service = processes.service("vision", models)
    router = processes.router(tmp_path, {"vision": [service.address]})
    wait_until_routed(router, [(model, "1") for model in MODELS])

    with Load(router.address, t.VISION_CLASSIFY, t.classify(t.seven())) as load:
        for version in range(2, 6):
            (add_version(models, "digits", str(10 * version)) / "model.onnx").write_bytes(b"cut short")
            assert refused(router.channel, LOAD, load_of("digits")).reason == "DIGEST_MISMATCH"
            add_version(models, "digits", str(10 * version + 1))
            call(router.channel, LOAD, load_of("digits"))
            call(router.channel, UNLOAD, oip.RepositoryModelUnloadRequest(model_name="digits-functional"))
            call(router.channel, LOAD, load_of("digits-functional"))
            load.wait_for_answers(500)

    assert load.errors == []
    replies = [VisionServiceClassifyResponse.FromString(reply) for reply in load.replies]
    assert {reply.results[0].categories[0].label for reply in replies} == {"7"}
    assert {reply.version for reply in replies} == {"1", "21", "31", "41", "51"}
    assert replies[-1].version == "51"


@pytest.fixture
def crowded(processes: Processes, tmp_path: Path) -> tuple[Server, Server]:
    """A service with two models and memory for either, and a router before it."""
    models = copy_models(tmp_path / "models", *SMALL_AND_LARGE)
    small, large = sorted(memory_bytes(processes.service("vision", models)).values())
    # Halfway between one and both: another process's sizes are some megabytes apart.
    budget_mb = int((large + small / 2) / MEBIBYTE)
    service = processes.service("vision", models, "--memory-budget-mb", str(budget_mb))
    router = processes.router(tmp_path, {"vision": [service.address]})
    wait_until_routed(router, [(model, "1") for model in SMALL_AND_LARGE])
    return service, router


def test_models_that_do_not_fit_into_memory_together_all_answer_through_the_router(
    crowded: tuple[Server, Server],
) -> None:
    service, router = crowded
    for model in SMALL_AND_LARGE * 3:
        message = call(router.channel, t.VISION_CLASSIFY, t.classify(t.seven(), model=model))
        assert VisionServiceClassifyResponse.FromString(message).model == model
        sizes = memory_bytes(service)
        assert (sizes.pop(model) > 0, *sizes.values()) == (True, 0)


def test_callers_of_models_that_push_each_other_out_see_no_error(crowded: tuple[Server, Server]) -> None:
    _, router = crowded
    loads = [Load(router.address, t.VISION_CLASSIFY, t.classify(t.seven(), model=model)) for model in SMALL_AND_LARGE]
    with loads[0], loads[1]:
        for load in loads:
            load.wait_for_answers(10)
    for load in loads:
        assert load.errors == []


def memory_bytes(service: Server) -> dict[str, float]:
    """By model; 0 for one that is not in memory."""
    series = read_metrics(service.metrics_address)
    return {model: series[f'argosy_model_memory_bytes{{model="{model}",version="1"}}'] for model in SMALL_AND_LARGE}


def load_of(model: str) -> oip.RepositoryModelLoadRequest:
    return oip.RepositoryModelLoadRequest(model_name=model)
