"""Rollouts of the GPU overlay where GPUs are scarce: with one to spare, and with none.

Nodes are simulated, scheduler and controllers are real: asserted is which pods were placed and which stayed. The
overlay is changed as docs/kubernetes.md says.
"""

from collections import Counter

import pytest
import yaml

from k8s.testing.control_plane import ZONE, has_condition, is_ready

from .conftest import DEPLOYMENTS, PODS, remove_namespace
from .test_overlays import available

GPU = "nvidia.com/gpu"
ON_GPUS = ("argosy-vision", "argosy-text")
FLEET = f"app.kubernetes.io/name in ({','.join(ON_GPUS)})"
# Zones of one node: two replicas of each process need four GPUs, one is to spare.
CARDS = {"cards-a": 3, "cards-b": 2}


@pytest.fixture(scope="module")
def cards(cluster, set_aside):
    for zone, count in CARDS.items():
        cluster.add_zone(zone, 1, {"cpu": "64", "memory": "256Gi", "pods": "110", GPU: str(count)})
    yield
    for zone in CARDS:
        cluster.kubectl("delete", "nodes", "-l", f"{ZONE}={zone}")
        cluster.end(zone)


@pytest.fixture(scope="module")
def desk(make_desk):
    return make_desk({"resources": ["../k8s/overlays/gpu"]})


@pytest.fixture(scope="module", autouse=True)
def fleet(cards, cluster, api, desk):
    """The GPU overlay at its two replicas of each."""
    cluster.run_as_typed("kubectl apply -f k8s/base/namespace.yaml; kubectl apply -k fleet", desk)
    api.wait(DEPLOYMENTS, lambda found: available(found) and all(d["spec"]["replicas"] == 2 for d in found), 180)
    yield
    remove_namespace(cluster)


@pytest.fixture
def release(cluster, desk):
    """Makes an image of another tag the one that the operator's overlay asks for; its reference."""

    def of(tag):
        settings = yaml.safe_load((desk / "fleet" / "kustomization.yaml").read_text())
        settings["images"] = [{"name": "argosy/service-gpu", "newTag": tag}]
        (desk / "fleet" / "kustomization.yaml").write_text(yaml.safe_dump(settings))
        cluster.run_as_typed("kubectl apply -k fleet", desk)
        return f"argosy/service-gpu:{tag}"

    return of


def image_of(pod):
    return pod["spec"]["containers"][0]["image"]


def wait_until_rolled_out(api, image):
    """Until every replica has the image, and no other is left; the fewest that any process had ready meanwhile."""
    fewest = []

    def rolled(pods):
        serving = [pod for pod in pods if is_ready(pod) and "deletionTimestamp" not in pod["metadata"]]
        ready = Counter(pod["metadata"]["labels"]["app.kubernetes.io/name"] for pod in serving)
        fewest.append(min(ready[name] for name in ON_GPUS))
        return len(pods) == len(serving) == 4 and {image_of(pod) for pod in pods} == {image}

    api.wait(PODS, rolled, 300, FLEET)
    return min(fewest)


def test_one_gpu_to_spare_is_enough_for_a_new_image_of_both_and_no_replica_is_missing_meanwhile(api, release):
    image = release("0.1.1")
    assert wait_until_rolled_out(api, image) == 2


def test_without_a_gpu_to_spare_the_new_pods_wait_and_the_old_ones_serve_on(api, release):
    give_away_the_spare_one(api)
    old = {pod["metadata"]["name"] for pod in api.items(PODS, FLEET)}
    release("0.1.2")
    assert api.wait(PODS, lambda pods: len(waiting_for_a_gpu(pods)) == 2, 60, FLEET)
    assert {pod["metadata"]["name"] for pod in api.items(PODS, FLEET) if is_ready(pod)} == old
    assert all(has_condition(item, "Available") for item in api.items(DEPLOYMENTS))


def give_away_the_spare_one(api):
    """Nodes have as many GPUs as their pods hold."""
    held = Counter(pod["spec"]["nodeName"] for pod in api.items(PODS, FLEET))
    for node in api.items("/api/v1/nodes", f"{ZONE} in ({','.join(CARDS)})"):
        name = node["metadata"]["name"]
        gpus = {GPU: str(held[name])}
        api.patch(f"/api/v1/nodes/{name}/status", {"status": {"capacity": gpus, "allocatable": gpus}})


def waiting_for_a_gpu(pods):
    conditions = [condition for pod in pods for condition in pod["status"].get("conditions", ())]
    unplaced = [c for c in conditions if c["type"] == "PodScheduled" and c.get("reason") == "Unschedulable"]
    return [condition for condition in unplaced if f"Insufficient {GPU}" in condition["message"]]


def test_with_the_pages_strategy_for_no_spare_gpu_they_go_live_with_a_replica_less_meanwhile(api, type_in):
    type_in("GPU", "kubectl apply")
    assert wait_until_rolled_out(api, "argosy/service-gpu:0.1.2") == 1
