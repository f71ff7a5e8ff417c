"""What the control plane does with the fleet when pods must go: evictions, drained nodes, rollouts."""

import pytest

from k8s.testing.api import ApiError
from k8s.testing.control_plane import has_condition, is_ready

from .conftest import BUDGETS, DEPLOYMENTS, NAMESPACE, PODS

VISION = "app.kubernetes.io/name=argosy-vision"
REPLICA_SETS = f"/apis/apps/v1/namespaces/{NAMESPACE}/replicasets"


@pytest.fixture(scope="module", autouse=True)
def fleet(apply, api):
    """The production fleet, two replicas of each."""
    apply("production")
    settled(api)


def settled(api):
    """Wait until every replica is there, as it was asked for last, and the budgets know it."""

    def two_each(found):
        return len(found) == 4 and all(map(has_two_of_the_newest, found))

    api.wait(DEPLOYMENTS, two_each, 180)
    api.wait(BUDGETS, lambda found: all(item["status"]["disruptionsAllowed"] == 1 for item in found), 60)


def has_two_of_the_newest(deployment):
    """Of a rollout that goes on, or is yet to begin, the pods would be more."""
    status = deployment["status"]
    counts = [status.get(name) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    return status.get("observedGeneration") == deployment["metadata"]["generation"] and counts == [2, 2, 2]


def test_a_second_eviction_waits_until_the_first_pod_is_replaced(api):
    first, second = (pod["metadata"]["name"] for pod in api.items(PODS, VISION))
    api.evict(NAMESPACE, first)
    with pytest.raises(ApiError, match="disruption budget") as refused:
        api.evict(NAMESPACE, second)
    assert refused.value.code == 429
    settled(api)
    api.evict(NAMESPACE, second)
    settled(api)


def test_a_node_is_drained_and_the_fleet_is_whole_again_elsewhere(api, cluster):
    node = api.items(PODS, VISION)[0]["spec"]["nodeName"]
    cluster.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=240s")
    try:
        settled(api)
        assert not [pod for pod in api.items(PODS) if pod["spec"]["nodeName"] == node]
    finally:
        cluster.kubectl("uncordon", node)


def test_a_new_image_makes_a_second_replica_set_and_never_has_fewer_ready_pods_than_replicas(api, cluster):
    before = {item["metadata"]["name"] for item in api.items(REPLICA_SETS, VISION)}
    fewest = []

    def rolled(pods):
        fewest.append(sum(is_ready(pod) for pod in pods if "deletionTimestamp" not in pod["metadata"]))
        images = [pod["spec"]["containers"][0]["image"] for pod in pods]
        return set(images) == {"argosy/service-cpu:0.1.1"} and len(images) == 2

    cluster.kubectl("-n", NAMESPACE, "set", "image", "deployment/argosy-vision", "argosy=argosy/service-cpu:0.1.1")
    api.wait(PODS, rolled, 180, VISION)
    cluster.kubectl("-n", NAMESPACE, "rollout", "status", "deployment/argosy-vision", "--timeout=120s")
    assert len(before) == 1
    assert len(api.items(REPLICA_SETS, VISION)) == 2
    assert min(fewest) >= 2


def test_a_rollout_can_be_undone(api, cluster):
    cluster.kubectl("-n", NAMESPACE, "rollout", "undo", "deployment/argosy-vision")
    cluster.kubectl("-n", NAMESPACE, "rollout", "status", "deployment/argosy-vision", "--timeout=120s")
    images = {pod["spec"]["containers"][0]["image"] for pod in api.items(PODS, VISION)}
    assert "argosy/service-cpu:0.1.0" in images


def test_replicas_stand_in_different_zones(api, cluster):
    zones = {node["metadata"]["name"]: node["metadata"]["labels"]["topology.kubernetes.io/zone"]
             for node in api.items("/api/v1/nodes")}  # fmt: skip
    placed = [zones[pod["spec"]["nodeName"]] for pod in api.items(PODS, "app.kubernetes.io/name=argosy-router")]
    assert len(set(placed)) == len(placed) == 2


def test_the_autoscaler_cannot_act_without_figures_and_leaves_the_replicas_alone(api):
    (scaler,) = [item for item in api.items(f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers")
                 if item["metadata"]["name"] == "argosy-vision"]  # fmt: skip
    assert has_condition(scaler, "AbleToScale")
    assert not has_condition(scaler, "ScalingActive")
    assert scaler["status"]["currentReplicas"] == 2
