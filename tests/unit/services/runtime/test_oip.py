"""What a service says of itself and its models in the Open Inference Protocol, in Triton's words."""

import re
from collections.abc import Callable

import pytest
from google.protobuf.message import Message

from inference import grpc_service_pb2 as pb
from inference.model_config_pb2 import TYPE_FP32
from services.runtime.errors import Cause, ServingError
from services.runtime.oip import InferenceProtocol
from tests.unit.services.runtime.served import Served, refusal
from tests.unit.services.runtime.tiny import write_version

Ask = Callable[[str, Message], bytes]


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    found = serve()
    write_version(found.models)
    write_version(found.models, "bad", parity={"passed": False})
    found.repository.load_all()
    return found


@pytest.fixture
def ask(served: Served) -> Ask:
    answers = InferenceProtocol(
        name="argosy-tabular",
        version="1.2",
        repository=served.repository,
        stats=served.front.stats,
        ready=lambda: bool(served.repository.ready_versions("tiny")),
    ).answers()
    return lambda method, request: answers[f"/inference.GRPCInferenceService/{method}"](request.SerializeToString())


def test_a_server_lives_and_is_ready_while_a_model_is(ask: Ask, served: Served) -> None:
    assert pb.ServerLiveResponse.FromString(ask("ServerLive", pb.ServerLiveRequest())).live
    assert pb.ServerReadyResponse.FromString(ask("ServerReady", pb.ServerReadyRequest())).ready
    served.repository.unload("tiny")
    assert not pb.ServerReadyResponse.FromString(ask("ServerReady", pb.ServerReadyRequest())).ready


def test_a_server_names_itself_and_its_extensions(ask: Ask) -> None:
    found = pb.ServerMetadataResponse.FromString(ask("ServerMetadata", pb.ServerMetadataRequest()))
    assert (found.name, found.version) == ("argosy-tabular", "1.2")
    assert {"sequence", "model_repository"} <= set(found.extensions)


@pytest.mark.parametrize(
    ("model", "version", "ready"), [("tiny", "", True), ("tiny", "1", True), ("tiny", "2", False), ("bad", "", False)]
)
def test_a_model_is_ready_or_not(model: str, version: str, ready: bool, ask: Ask) -> None:
    request = pb.ModelReadyRequest(name=model, version=version)
    assert pb.ModelReadyResponse.FromString(ask("ModelReady", request)).ready is ready


def test_a_models_metadata_is_its_tensors(ask: Ask) -> None:
    found = pb.ModelMetadataResponse.FromString(ask("ModelMetadata", pb.ModelMetadataRequest(name="tiny")))
    assert (found.name, list(found.versions), found.platform) == ("tiny", ["1"], "onnxruntime_onnx")
    assert [(t.name, t.datatype, list(t.shape)) for t in found.inputs] == [("x", "FP32", [-1, 3])]
    assert [(t.name, t.datatype, list(t.shape)) for t in found.outputs] == [("y", "FP32", [-1, 3])]


def test_a_models_config_leaves_the_batch_out_of_its_dimensions(ask: Ask) -> None:
    config = pb.ModelConfigResponse.FromString(ask("ModelConfig", pb.ModelConfigRequest(name="tiny"))).config
    assert (config.name, config.max_batch_size, config.instance_group[0].count) == ("tiny", 32, 2)
    assert [(t.name, t.data_type, list(t.dims)) for t in config.input] == [("x", TYPE_FP32, [3])]


def test_a_models_config_tells_how_its_batches_are_made_and_that_answers_are_kept(ask: Ask, served: Served) -> None:
    settings = "cache_bytes: 1000\npreferred_batch_rows: [4, 8]\nmax_wait_us: 50\npriority_levels: 2"
    (served.models / "tiny" / "serving.yaml").write_text(settings)
    served.repository.load("tiny")
    config = pb.ModelConfigResponse.FromString(ask("ModelConfig", pb.ModelConfigRequest(name="tiny"))).config
    batching = config.dynamic_batching
    assert config.response_cache.enable
    assert (list(batching.preferred_batch_size), batching.max_queue_delay_microseconds) == ([4, 8], 50)
    assert (batching.priority_levels, batching.default_priority_level) == (2, 1)


def test_a_models_config_says_that_no_answers_are_kept(ask: Ask) -> None:
    config = pb.ModelConfigResponse.FromString(ask("ModelConfig", pb.ModelConfigRequest(name="tiny"))).config
    assert not config.response_cache.enable


def test_the_index_tells_why_a_version_is_not_ready(ask: Ask) -> None:
    def rows(ready: bool) -> dict[str, tuple[str, bool]]:
        reply = ask("RepositoryIndex", pb.RepositoryIndexRequest(ready=ready))
        models = pb.RepositoryIndexResponse.FromString(reply).models
        return {f"{row.name}/{row.version}": (row.state, "not proven" in row.reason) for row in models}

    assert rows(ready=False) == {"bad/1": ("UNAVAILABLE", True), "tiny/1": ("READY", False)}
    assert rows(ready=True) == {"tiny/1": ("READY", False)}


def test_an_index_of_another_repository_is_refused(ask: Ask) -> None:
    assert (
        refusal(lambda: ask("RepositoryIndex", pb.RepositoryIndexRequest(repository_name="other"))) == "INVALID_INPUT"
    )


def test_statistics_count_requests_rows_and_batches(ask: Ask, served: Served) -> None:
    for rows in (1, 3):
        served.infer(*[(1.0, 2.0, 3.0)] * rows)
    found = statistics(ask, batches=2)

    assert (found.inference_count, found.execution_count) == (4, 2)
    assert (found.inference_stats.success.count, found.inference_stats.fail.count) == (2, 0)
    assert {batch.batch_size: batch.compute_infer.count for batch in found.batch_stats} == {1: 1, 3: 1}


@pytest.mark.parametrize("stage", ["queue", "compute_input", "compute_infer", "compute_output"])
def test_statistics_tell_the_time_of_each_stage(stage: str, ask: Ask, served: Served) -> None:
    served.infer((1.0, 2.0, 3.0))
    found = getattr(statistics(ask, batches=1).inference_stats, stage)
    assert found.count == 1
    assert found.ns > 0


def statistics(ask: Ask, batches: int) -> pb.ModelStatistics:
    """Of the tiny model, once its workers have counted so many batches, which they do after the answer has left."""
    while True:
        reply = ask("ModelStatistics", pb.ModelStatisticsRequest(name="tiny", version="1"))
        (found,) = pb.ModelStatisticsResponse.FromString(reply).model_stats
        if sum(batch.compute_infer.count for batch in found.batch_stats) == batches:
            return found


def test_statistics_count_a_hit_as_success_and_as_no_inference(ask: Ask, served: Served) -> None:
    (served.models / "tiny" / "serving.yaml").write_text("cache_bytes: 100000")
    served.repository.load("tiny")
    for _ in range(3):
        served.infer((1.0, 2.0, 3.0))
    reply = ask("ModelStatistics", pb.ModelStatisticsRequest(name="tiny"))
    (found,) = pb.ModelStatisticsResponse.FromString(reply).model_stats
    assert (found.inference_count, found.execution_count, found.inference_stats.success.count) == (1, 1, 3)
    assert (found.inference_stats.cache_hit.count, found.inference_stats.cache_miss.count) == (2, 1)
    assert found.inference_stats.cache_hit.ns > 0


@pytest.mark.parametrize(
    ("method", "request_", "reason"),
    [
        ("ModelMetadata", pb.ModelMetadataRequest(name="nosuch"), "UNKNOWN_MODEL"),
        ("ModelMetadata", pb.ModelMetadataRequest(name="tiny", version="2"), "UNKNOWN_VERSION"),
        ("ModelConfig", pb.ModelConfigRequest(name="nosuch"), "UNKNOWN_MODEL"),
        ("ModelStatistics", pb.ModelStatisticsRequest(name="nosuch"), "UNKNOWN_MODEL"),
        ("RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="nosuch"), "UNKNOWN_MODEL"),
        ("RepositoryModelUnload", pb.RepositoryModelUnloadRequest(model_name="nosuch"), "UNKNOWN_MODEL"),
        ("RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="bad"), "PARITY_NOT_PASSED"),
    ],
)
def test_a_model_that_is_not_there_or_may_not_be_is_refused(
    method: str, request_: Message, reason: str, ask: Ask
) -> None:
    assert refusal(lambda: ask(method, request_)) == reason


@pytest.mark.parametrize("kind", ["Load", "Unload"])
@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"parameters": {"config": {"string_param": "{}"}}}, "parameters.config"),
        ({"parameters": {"file:1/model.onnx": {"bytes_param": b"graph"}}}, "parameters.file:1/model.onnx"),
        ({"parameters": {"b": {}, "a": {}}}, "parameters.a"),
        ({"repository_name": "other"}, "repository_name"),
    ],
)
def test_what_a_load_or_an_unload_would_not_do_is_refused_by_name(
    kind: str, asked: dict[str, object], field: str, ask: Ask, served: Served
) -> None:
    request = getattr(pb, f"RepositoryModel{kind}Request")(model_name="tiny", **asked)
    with pytest.raises(ServingError, match=re.escape(field)) as caught:
        ask(f"RepositoryModel{kind}", request)
    assert (caught.value.cause, caught.value.field) == (Cause.INVALID_INPUT, field)
    assert served.states()["tiny/1"] == "READY*"


def test_an_unload_takes_dependents_along_which_no_model_has(ask: Ask, served: Served) -> None:
    request = pb.RepositoryModelUnloadRequest(model_name="tiny")
    request.parameters["unload_dependents"].string_param = "yes"
    with pytest.raises(ServingError, match=r"parameters\.unload_dependents: true or false is needed"):
        ask("RepositoryModelUnload", request)
    request.parameters["unload_dependents"].bool_param = True
    ask("RepositoryModelUnload", request)
    assert served.states()["tiny/1"] == "UNLOADED"


@pytest.mark.parametrize("method", ["ModelMetadata", "ModelConfig"])
def test_a_model_without_a_name_is_no_unknown_one(method: str, ask: Ask) -> None:
    with pytest.raises(ServingError, match="model: a model's name is needed, got none") as caught:
        ask(method, getattr(pb, f"{method}Request")())
    assert (caught.value.cause, caught.value.field) == (Cause.INVALID_INPUT, "model")


def test_a_message_that_is_none_is_refused(served: Served, ask: Ask) -> None:
    answers = InferenceProtocol(
        name="", version="", repository=served.repository, stats=served.front.stats, ready=lambda: True
    ).answers()
    with pytest.raises(ServingError, match=r"inference\.ModelMetadataRequest"):
        answers["/inference.GRPCInferenceService/ModelMetadata"](b"\xff")


def test_load_and_unload_change_what_is_ready(ask: Ask, served: Served) -> None:
    ask("RepositoryModelUnload", pb.RepositoryModelUnloadRequest(model_name="tiny"))
    assert served.states()["tiny/1"] == "UNLOADED"
    ask("RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="tiny"))
    assert served.states()["tiny/1"] == "READY*"
