"""One control plane for all tests, in a network of its own (`make k8s-test`), and a clean namespace for each module."""

import socket
import subprocess
from pathlib import Path

import pytest
import yaml

from argosy.v1.vision_pb2 import VisionServiceClassifyResponse
from k8s.testing import tools
from k8s.testing.cluster_address import ClusterAddress
from k8s.testing.control_plane import ControlPlane, has_condition
from k8s.testing.dns import ClusterDns
from k8s.testing.images import built_images, this_machine
from k8s.testing.node import Node
from k8s.testing.sandbox import make_network
from tests.e2e import traffic as t
from tests.e2e.harness import CHANNEL_OPTIONS
from tests.e2e.load import Load

from .page import KUBERNETES, blocks, commands_on

K8S = Path(__file__).parents[2] / "k8s"
NAMESPACE = "argosy"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
BUDGETS = f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets"
SCALERS = f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers"
MODELS = K8S.parent / "models"
ROOMY = {"cpu": "64", "memory": "256Gi", "pods": "110"}
CALLER_OPTIONS = tuple(option for option in CHANNEL_OPTIONS if option[0] != "grpc.enable_retries")
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


@pytest.fixture(scope="session")
def images():
    """The fleet's images by name: those that the engine has built, or else this machine in their place."""
    return built_images() or this_machine()


@pytest.fixture(scope="session")
def network(cluster):
    """The network of the pods that run here."""
    _, _, users = Path("/proc/self/uid_map").read_text().split()[:3]
    if users == "1":
        pytest.skip("a pod's process is another user than the tests': needs root")
    make_network()


@pytest.fixture(scope="session")
def dns(network, api):
    served = ClusterDns(api)
    yield served
    served.close()


@pytest.fixture(scope="module")
def set_aside(cluster, api):
    """The simulated nodes take no pods while a module has nodes of its own."""
    simulated = [item["metadata"]["name"] for item in api.items("/api/v1/nodes")]
    cluster.kubectl("cordon", *simulated)
    yield
    cluster.kubectl("uncordon", *simulated)


@pytest.fixture(scope="module")
def add_machine(cluster, dns, images, set_aside, tmp_path_factory):
    """Makes nodes that run what is placed on them."""
    api, machines = cluster.api, []

    def add(name, models):
        folder = tmp_path_factory.mktemp(name)
        machines.append(Node(api, name, ROOMY, images=images, models=models, folder=folder))
        machines[-1].start()
        return machines[-1]

    yield add
    cluster.kubectl("-n", NAMESPACE, "delete", "deployments", "--all", "--wait=false", "--ignore-not-found")
    for machine in machines:
        machine.stop()
        api.delete(f"/api/v1/nodes/{machine.name}")
    remove_namespace(cluster)


@pytest.fixture(scope="module")
def make_desk(tmp_path_factory):
    """Makes the folder where an operator types: the repository, and in `fleet` an overlay of their own."""

    def of(overlay):
        folder = tmp_path_factory.mktemp("desk")
        for name in ("k8s", "protos"):
            (folder / name).symlink_to(K8S.parent / name)
        (folder / "fleet").mkdir()
        (folder / "fleet" / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
        return folder

    return of


@pytest.fixture
def type_in(cluster, desk):
    """Writes into `fleet` what docs/kubernetes.md does under a heading, then types the commands that `word` is in."""

    def of(heading, word, change=str):
        for overlay in blocks(KUBERNETES, heading, "yaml"):
            merged = yaml.safe_load((desk / "fleet" / "kustomization.yaml").read_text()) | yaml.safe_load(overlay)
            (desk / "fleet" / "kustomization.yaml").write_text(yaml.safe_dump(merged))
        return cluster.run_as_typed(change(commands_on(KUBERNETES, heading, word)), desk)

    return of


@pytest.fixture(scope="module")
def router(api, dns, fleet):
    """Where callers find the router of the module's fleet: its Service's cluster address."""
    address = ClusterAddress(api, dns, NAMESPACE, "argosy-router", 8500)
    yield f"{address.address}:8500"
    address.close()


@pytest.fixture
def load(router):
    """Classifications through the router, as long as the test goes on; a lost or wrong one fails it.

    Callers have no retry policy. What gRPC does of itself stays on: a stream that a closing connection never carried to
    a server is opened on the next one.
    """
    with Load(router, t.VISION_CLASSIFY, t.classify(t.seven()), CALLER_OPTIONS) as load:
        load.wait_for_answers(50)
        yield load
        load.wait_for_answers(50)
    assert load.errors == []
    assert {label(reply) for reply in load.replies} == {"7"}


def label(reply):
    return VisionServiceClassifyResponse.FromString(reply).results[0].categories[0].label
