"""One control plane for all tests, in a network of its own (`make k8s-test`), and a clean namespace for each module."""

import socket
import subprocess
from pathlib import Path

import pytest
import yaml

from k8s.testing import tools
from k8s.testing.control_plane import ControlPlane, has_condition

K8S = Path(__file__).parents[2] / "k8s"
NAMESPACE = "argosy"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
BUDGETS = f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets"
SCALERS = f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers"
ZONES = ("zone-a", "zone-b", "zone-c")

# What a GPU operator brings into a cluster.
RUNTIME_CLASS = {
    "apiVersion": "node.k8s.io/v1",
    "kind": "RuntimeClass",
    "metadata": {"name": "nvidia"},
    "handler": "nvidia",
}


def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A control plane with three zones of two nodes, and the operators' resource definitions."""
    if [name for _, name in socket.if_nameindex() if name != "lo"]:
        pytest.skip("needs a network of its own: make k8s-test")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    plane = ControlPlane(tmp_path_factory.mktemp("control-plane"))
    try:
        plane.start()
        for path in tools.resource_definitions():
            plane.kubectl("apply", "--server-side", "-f", path)
        definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        plane.api.wait(definitions, lambda found: all(has_condition(d, "Established") for d in found), 60)
        plane.api.create("/apis/node.k8s.io/v1/runtimeclasses", RUNTIME_CLASS)
        for zone in ZONES:
            plane.add_zone(zone, 2, {"cpu": "16", "memory": "64Gi", "pods": "110", "nvidia.com/gpu": "8"})
        yield plane
    finally:
        plane.stop()


@pytest.fixture(scope="session")
def api(cluster):
    return cluster.api


@pytest.fixture(scope="session")
def rendered():
    def of(overlay):
        command = [tools.kustomize(), "build", K8S / "overlays" / overlay]
        return subprocess.run(command, check=True, timeout=60, capture_output=True, text=True).stdout

    return of


@pytest.fixture(scope="module")
def apply(cluster, rendered):
    """Applies an overlay, its namespace first; the namespace is deleted after the module."""

    def of(overlay):
        objects = list(yaml.safe_load_all(rendered(overlay)))
        first = [item for item in objects if item["kind"] in {"Namespace", "PriorityClass"}]
        for part in (first, [item for item in objects if item not in first]):
            cluster.kubectl("apply", "--server-side", "-f", "-", text=yaml.safe_dump_all(part))
        return objects

    yield of
    remove_namespace(cluster)


def remove_namespace(cluster):
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
    cluster.kubectl("delete", "priorityclass", "argosy-serving", "argosy-routing", "--ignore-not-found")
    names = "/api/v1/namespaces"
    cluster.api.wait(names, lambda found: NAMESPACE not in {item["metadata"]["name"] for item in found}, 180)
