"""Two hundred replicas on simulated GPU nodes in three zones: placed, spread, one zone lost, the budgets kept.

The scheduler and the controllers are real; only what the pods would do is not. Asserted is what the control plane did.
"""

from collections import Counter

import pytest

from k8s.testing.api import ApiError
from k8s.testing.control_plane import ZONE, is_ready

from .conftest import BUDGETS, NAMESPACE, PODS, SCALERS

# 14 nodes of 8 GPUs a zone: any two zones hold the 200.
NODES, GPUS = 14, 8
REPLICAS = {"argosy-vision": 120, "argosy-text": 80}
FLEET = "app.kubernetes.io/component=model-service,argosy.v1/accelerator=gpu"
GPU_ZONES = ("gpu-a", "gpu-b", "gpu-c")
TAINT = "nvidia.com/gpu=present:NoSchedule"


@pytest.fixture(scope="module")
def zone_of(cluster, api, set_aside):
    """Node -> zone of the GPU nodes, tainted as a GPU operator taints them."""
    for zone in GPU_ZONES:
        capacity = {"cpu": "64", "memory": "256Gi", "pods": "110", "nvidia.com/gpu": str(GPUS)}
        cluster.add_zone(zone, NODES, capacity)
        cluster.kubectl("taint", "nodes", "-l", f"{ZONE}={zone}", TAINT)
    return {node["metadata"]["name"]: node["metadata"]["labels"][ZONE] for node in api.items("/api/v1/nodes")}


@pytest.fixture(scope="module")
def fleet(zone_of, cluster, api, apply):
    """The GPU overlay with 200 replicas of vision and text, each on a GPU of its own."""
    apply("gpu")
    for scaler in api.items(SCALERS):
        api.delete(f"{SCALERS}/{scaler['metadata']['name']}")
    for name, count in REPLICAS.items():
        cluster.kubectl("-n", NAMESPACE, "scale", f"deployment/{name}", f"--replicas={count}")
    api.wait(PODS, all_ready, 300, FLEET)
    yield
    # Nobody is left in the lost zone to say that its pods have ended.
    cluster.kubectl("-n", NAMESPACE, "delete", "deployments", "--all")
    cluster.kubectl("-n", NAMESPACE, "delete", "pods", "--all", "--force", "--grace-period=0", "--wait=false")
    for zone in GPU_ZONES:
        cluster.kubectl("delete", "nodes", "-l", f"{ZONE}={zone}", "--wait=false")


def all_ready(pods):
    return sum(is_ready(pod) and "deletionTimestamp" not in pod["metadata"] for pod in pods) == sum(REPLICAS.values())


def placed(api, zone_of, name):
    """Zone -> ready pods of one Deployment."""
    pods = api.items(PODS, f"app.kubernetes.io/name={name}")
    staying = [pod for pod in pods if is_ready(pod) and "deletionTimestamp" not in pod["metadata"]]
    return Counter(zone_of[pod["spec"]["nodeName"]] for pod in staying)


def test_each_pod_has_a_gpu_and_no_node_gave_more_than_it_has(fleet, api):
    nodes = Counter(pod["spec"]["nodeName"] for pod in api.items(PODS, FLEET))
    assert sum(nodes.values()) == sum(REPLICAS.values())
    assert max(nodes.values()) <= GPUS


@pytest.mark.parametrize("name", list(REPLICAS))
def test_replicas_are_spread_over_the_zones(fleet, api, zone_of, name):
    zones = placed(api, zone_of, name)
    assert set(zones) == set(GPU_ZONES)
    assert_nearly_even(zones)


def test_a_zone_that_is_lost_is_made_up_for_in_the_others_and_meanwhile_no_eviction_is_allowed(
    fleet, cluster, api, zone_of
):
    cluster.end("gpu-c")
    api.wait(BUDGETS, lambda budgets: not any(b["status"]["disruptionsAllowed"] for b in of_gpus(budgets)), 120)
    staying = next(pod for pod in api.items(PODS, FLEET) if zone_of[pod["spec"]["nodeName"]] == "gpu-a")
    with pytest.raises(ApiError) as refused:
        api.evict(NAMESPACE, staying["metadata"]["name"])
    assert refused.value.code == 429
    api.wait(PODS, all_ready, 240, FLEET)
    for name, count in REPLICAS.items():
        zones = placed(api, zone_of, name)
        assert set(zones) == {"gpu-a", "gpu-b"}
        assert sum(zones.values()) == count
        assert_nearly_even(zones)


def assert_nearly_even(zones):
    """The rule for replicas with a GPU is a wish, which the scheduler weighs against others: within a fifth."""
    assert max(zones.values()) <= 1.2 * min(zones.values())


def of_gpus(budgets):
    return [budget for budget in budgets if budget["metadata"]["name"] in REPLICAS]
