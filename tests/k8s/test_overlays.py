"""Every overlay, applied to a real API server and carried out by the real controllers."""

import pytest

from k8s.testing.control_plane import has_condition

from .conftest import DEPLOYMENTS, NAMESPACE, SCALERS, remove_namespace

PROCESSES = {"argosy-vision", "argosy-text", "argosy-tabular", "argosy-router"}
SLICES = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"


def available(found):
    return len(found) == len(PROCESSES) and all(
        has_condition(item, "Available") and item["status"].get("updatedReplicas") == item["spec"]["replicas"]
        for item in found
    )


@pytest.fixture(scope="module", params=["local", "production", "gpu"])
def objects(request, cluster, apply):
    """The objects of an overlay that has been applied and is available."""
    remove_namespace(cluster)
    applied = apply(request.param)
    cluster.api.wait(DEPLOYMENTS, available, 240)
    return applied


def test_every_object_is_there_as_it_was_applied(objects, cluster):
    for item in objects:
        namespace = item["metadata"].get("namespace")
        where = ["-n", namespace] if namespace else []
        group = item["apiVersion"].rpartition("/")[0]
        kind = f"{item['kind']}.{group}" if group else item["kind"]
        cluster.kubectl("get", kind, item["metadata"]["name"], *where)


def test_no_pod_was_warned_about_or_refused_by_the_restricted_standard(objects, api):
    events = api.items(f"/api/v1/namespaces/{NAMESPACE}/events")
    assert not [event["message"] for event in events if "PodSecurity" in event["message"]]
    labels = api.get(f"/api/v1/namespaces/{NAMESPACE}")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_each_service_has_an_endpoint_for_each_replica(objects, api):
    replicas = {item["metadata"]["name"]: item["spec"]["replicas"] for item in api.items(DEPLOYMENTS)}

    def endpoints(slices):
        ready = dict.fromkeys(PROCESSES, 0)
        for piece in slices:
            name = piece["metadata"]["labels"]["kubernetes.io/service-name"]
            ready[name] += sum(endpoint["conditions"]["ready"] for endpoint in piece["endpoints"] or ())
        return ready == replicas

    assert api.wait(SLICES, endpoints, 60)


def test_each_autoscaler_has_found_its_deployment(objects, api):
    scalers = {item["metadata"]["name"] for item in objects if item["kind"] == "HorizontalPodAutoscaler"}

    def found(items):
        return {item["metadata"]["name"] for item in items if has_condition(item, "AbleToScale")} == scalers

    api.wait(SCALERS, lambda items: not scalers or found(items), 60)


def test_every_volume_and_account_that_a_pod_names_is_declared_or_optional(objects, api):
    accounts = {item["metadata"]["name"] for item in objects if item["kind"] == "ServiceAccount"}
    maps = {item["metadata"]["name"] for item in objects if item["kind"] == "ConfigMap"}
    for item in objects:
        if item["kind"] == "Deployment":
            pod = item["spec"]["template"]["spec"]
            assert pod["serviceAccountName"] in accounts
            assert {volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume} <= maps
