"""The autoscalers' own decisions on the figures that the fleet's rules record."""

import pytest

from k8s.testing.control_plane import has_condition
from k8s.testing.custom_metrics import CustomMetrics

from .conftest import DEPLOYMENTS, SCALERS

CALM = {
    "argosy_pod_queue_seconds": "5m",
    "argosy_pod_in_flight_requests": "10",
    "argosy_router_pod_in_flight_requests": "10",
}


@pytest.fixture(scope="module")
def metrics(cluster, api, apply):
    """The production fleet at its two replicas, with an adapter that knows its figures."""
    served = CustomMetrics(api, cluster.certificates.pair("apiserver"))
    served.figures = CALM
    served.register()
    apply("production")
    api.wait(SCALERS, lambda found: len(found) == 4 and all(has_condition(s, "ScalingActive") for s in found), 180)
    yield served
    api.delete("/apis/apiregistration.k8s.io/v1/apiservices/v1beta2.custom.metrics.k8s.io")
    served.close()


def replicas(found):
    return {item["metadata"]["name"]: item["spec"]["replicas"] for item in found}


def test_a_calm_fleet_keeps_its_two_replicas(metrics, api):
    assert set(replicas(api.items(DEPLOYMENTS)).values()) == {2}


def test_requests_that_wait_double_the_services_and_not_the_router(metrics, api):
    metrics.figures = {**CALM, "argosy_pod_queue_seconds": "100m"}

    def doubled(found):
        return all(count >= 4 for name, count in replicas(found).items() if name != "argosy-router")

    assert api.wait(DEPLOYMENTS, doubled, 90)
    assert replicas(api.items(DEPLOYMENTS))["argosy-router"] == 2


def test_requests_in_flight_at_the_router_make_it_grow(metrics, api):
    metrics.figures = {**CALM, "argosy_router_pod_in_flight_requests": "600"}
    assert api.wait(DEPLOYMENTS, lambda found: replicas(found)["argosy-router"] >= 4, 90)


def test_after_a_wave_replicas_stay_for_a_while(metrics, api):
    metrics.figures = CALM

    def stabilised(found):
        conditions = [c for s in found for c in s["status"]["conditions"] if c["type"] == "AbleToScale"]
        return all(condition["reason"] == "ScaleDownStabilized" for condition in conditions)

    api.wait(SCALERS, stabilised, 60)
    assert min(replicas(api.items(DEPLOYMENTS)).values()) >= 4
