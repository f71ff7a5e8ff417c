"""Calls that concern the whole fleet."""

import signal
import threading
import time
import urllib.request
from collections.abc import Callable

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from argosy.v1 import model_pb2
from inference import grpc_service_pb2 as oip
from tests.e2e.router.processes import RunningRouter, Start, SteadyFleet, has_retry_info, infer, reason

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def test_the_fleet_is_live_and_ready(fleet: SteadyFleet) -> None:
    assert fleet.inference.ServerLive(oip.ServerLiveRequest(), timeout=10).live
    assert fleet.inference.ServerReady(oip.ServerReadyRequest(), timeout=10).ready


def test_the_fleet_names_itself(fleet: SteadyFleet) -> None:
    reply = fleet.inference.ServerMetadata(oip.ServerMetadataRequest(), timeout=10)
    assert reply.name == "argosy"
    assert "model_repository" in reply.extensions


def test_the_index_has_each_model_version_once(fleet: SteadyFleet) -> None:
    reply = fleet.inference.RepositoryIndex(oip.RepositoryIndexRequest(), timeout=10)
    assert [(m.name, m.version, m.state) for m in reply.models] == [
        ("big", "1", "READY"),
        ("small", "1", "READY"),
        ("small", "2", "READY"),
    ]


def test_an_index_of_another_repository_is_refused(fleet: SteadyFleet) -> None:
    with pytest.raises(grpc.RpcError, match="there is one repository, which has no name") as refused:
        fleet.inference.RepositoryIndex(oip.RepositoryIndexRequest(repository_name="other"), timeout=10)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_models_are_listed_with_how_many_endpoints_have_them(fleet: SteadyFleet) -> None:
    reply = fleet.router.models().ListModels(model_pb2.ListModelsRequest(model="small"), timeout=10)
    assert [(m.version, m.ready_endpoint_count, m.default_version) for m in reply.models] == [
        ("1", 2, False),
        ("2", 2, True),
    ]


def test_statistics_are_added_up_over_the_endpoints(fleet: SteadyFleet) -> None:
    def counted() -> int:
        reply = fleet.inference.ModelStatistics(oip.ModelStatisticsRequest(name="small", version="1"), timeout=10)
        return sum(m.inference_count for m in reply.model_stats if m.version == "1")

    before = counted()
    for _ in range(20):
        fleet.inference.ModelInfer(infer("small"), timeout=10)
    assert counted() == before + 20


def test_statistics_are_not_told_without_those_of_an_endpoint_that_hangs(
    replica: Start, router: Callable[..., RunningRouter]
) -> None:
    one, other = replica("a", "small:1"), replica("b", "small:1")
    running = router({"text": [one.address, other.address]})
    running.wait_until_models(lambda ready: ready.get(("small", "1")) == 2)
    other.process.send_signal(signal.SIGSTOP)
    with pytest.raises(grpc.RpcError) as caught:
        running.inference().ModelStatistics(oip.ModelStatisticsRequest(name="small"), timeout=20)
    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.UNAVAILABLE, "STATISTICS_INCOMPLETE")
    assert has_retry_info(caught.value)


def test_health_knows_the_fleet_its_services_and_its_models(fleet: SteadyFleet) -> None:
    health = health_pb2_grpc.HealthStub(fleet.router.channel())
    for name in ("", "argosy.v1.TextService", "inference.GRPCInferenceService", "small"):
        assert health.Check(health_pb2.HealthCheckRequest(service=name), timeout=10).status == SERVING, name
    vision = health.Check(health_pb2.HealthCheckRequest(service="argosy.v1.VisionService"), timeout=10)
    assert vision.status == NOT_SERVING
    with pytest.raises(grpc.RpcError) as caught:
        health.Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=10)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_reflection_lists_the_services(fleet: SteadyFleet) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(fleet.router.channel())
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    (reply,) = stub.ServerReflectionInfo(iter([request]), timeout=10)
    names = {service.name for service in reply.list_services_response.service}
    assert {"argosy.v1.TextService", "inference.GRPCInferenceService"} <= names


def test_metrics_tell_of_the_brain_and_of_envoy(fleet: SteadyFleet) -> None:
    with urllib.request.urlopen(f"http://{fleet.router.metrics_address}/metrics", timeout=10) as reply:
        text = reply.read().decode()
    assert 'argosy_router_ready_endpoints{model="small",version="1"} 2.0' in text
    assert "envoy_cluster_upstream_rq_total" in text


def test_an_unloaded_model_goes_and_comes_back_within_a_second(
    replica: Start, router: Callable[..., RunningRouter]
) -> None:
    one, other = replica("a", "small:1"), replica("b", "small:1")
    running = router({"text": [one.address, other.address]})
    running.wait_until_models(lambda ready: ready.get(("small", "1")) == 2)
    stub = running.inference()

    def ready_models() -> list[str]:
        index = stub.RepositoryIndex(oip.RepositoryIndexRequest(ready=True), timeout=10)
        return [model.name for model in index.models]

    stub.RepositoryModelUnload(oip.RepositoryModelUnloadRequest(model_name="small"), timeout=10)
    assert ready_models() == []
    running.wait_until_models(lambda ready: ready.get(("small", "1")) == 0, timeout_s=1)
    error = _refused_by_the_brain(stub, timeout_s=10)
    assert (error.code(), reason(error)) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_MODEL")
    stub.RepositoryModelLoad(oip.RepositoryModelLoadRequest(model_name="small"), timeout=10)
    assert ready_models() == ["small"]
    running.wait_until_models(lambda ready: ready.get(("small", "1")) == 2, timeout_s=1)
    # The proxy has the route a moment after the brain: a caller that tries again as told does not notice.
    assert _infer_as_told(stub, timeout_s=1).model_name == "small"


def test_loading_what_nobody_has_is_not_found(fleet: SteadyFleet) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        fleet.inference.RepositoryModelLoad(oip.RepositoryModelLoadRequest(model_name="nobody"), timeout=10)
    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_MODEL")


@pytest.mark.parametrize("kind", ["Load", "Unload"])
def test_what_a_load_or_an_unload_would_not_do_is_refused_before_any_replica_hears(
    fleet: SteadyFleet, kind: str
) -> None:
    request = getattr(oip, f"RepositoryModel{kind}Request")(model_name="small")
    request.parameters["config"].string_param = "{}"
    with pytest.raises(grpc.RpcError) as caught:
        getattr(fleet.inference, f"RepositoryModel{kind}")(request, timeout=10)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details().startswith("parameters.config: ")
    assert fleet.inference.ModelReady(oip.ModelReadyRequest(name="small"), timeout=10).ready


def test_an_unknown_model_is_only_unavailable_until_every_service_has_reported(
    replica: Start, router: Callable[..., RunningRouter]
) -> None:
    one = replica("a", "small:1")
    # Nothing listens on port 1.
    running = router({"text": [one.address], "vision": ["127.0.0.1:1"]})
    running.wait_until_models(lambda ready: ready.get(("small", "1")) == 1)
    with pytest.raises(grpc.RpcError) as caught:
        running.inference().ModelInfer(infer("nobody"), timeout=10)
    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.UNAVAILABLE, "FLEET_INCOMPLETE")
    assert has_retry_info(caught.value)
    assert not running.inference().ServerReady(oip.ServerReadyRequest(), timeout=10).ready


def test_health_turns_serving_with_the_first_model(replica: Start, router: Callable[..., RunningRouter]) -> None:
    port_holder = replica("a", "small:1")
    address = port_holder.address
    port_holder.kill()
    running = router({"text": [address]})
    statuses = health_pb2_grpc.HealthStub(running.channel()).Watch(health_pb2.HealthCheckRequest(), timeout=20)
    assert next(statuses).status == NOT_SERVING
    replica("a", "small:1", address=address)
    assert next(statuses).status == SERVING


def test_a_watch_ends_when_its_caller_goes(fleet: SteadyFleet) -> None:
    watch = fleet.router.models().WatchModels(model_pb2.WatchModelsRequest())
    next(watch)
    ended = threading.Event()
    watch.add_callback(ended.set)
    watch.cancel()
    assert ended.wait(5)


def _refused_by_the_brain(stub: object, timeout_s: float) -> grpc.RpcError:
    """The error, once the proxy too has lost the route: until then it finds no endpoint, or one that refuses without
    details.
    """
    until = time.monotonic() + timeout_s
    while True:
        with pytest.raises(grpc.RpcError) as caught:
            stub.ModelInfer(infer("small"), timeout=10)
        is_late = time.monotonic() > until
        if is_late or (rpc_status.from_call(caught.value) is not None and not has_retry_info(caught.value)):
            return caught.value


def _infer_as_told(stub: object, timeout_s: float) -> oip.ModelInferResponse:
    """Call again while the answer is UNAVAILABLE with RetryInfo."""
    policy_deadline = threading.Event()
    timer = threading.Timer(timeout_s, policy_deadline.set)
    timer.start()
    while True:
        try:
            return stub.ModelInfer(infer("small"), timeout=10)
        except grpc.RpcError as error:
            if policy_deadline.is_set() or not has_retry_info(error):
                raise
