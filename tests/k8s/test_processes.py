"""The fleet's own processes, run as the manifests say: probes, DNS, drains, restarts and rollouts under load."""

import os
import signal
from pathlib import Path

import grpc
import psutil
import pytest
import yaml

from argosy.v1.model_pb2 import ListModelsRequest
from argosy.v1.model_pb2_grpc import ModelServiceStub
from argosy.v1.vision_pb2 import VisionServiceClassifyResponse
from k8s.testing.dns import ClusterDns
from k8s.testing.node import Node
from k8s.testing.sandbox import make_network
from tests.e2e import traffic as t
from tests.e2e.load import Load

from .conftest import DEPLOYMENTS, K8S, NAMESPACE, PODS
from .test_overlays import available

MODELS = K8S.parent / "models"
SMALL_MODELS = ("digits", "word-language", "diabetes", "income")
VISION = "app.kubernetes.io/name=argosy-vision"
ROOMY = {"cpu": "64", "memory": "256Gi", "pods": "110"}

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a pod's sandbox needs root")


@pytest.fixture(scope="module")
def node(cluster, api, apply, rendered, tmp_path_factory):
    """A node that runs the local overlay, one replica of each process, with the small models as ConfigMaps."""
    make_network()
    dns = ClusterDns(api)
    for name in [item["metadata"]["name"] for item in api.items("/api/v1/nodes")]:
        cluster.kubectl("cordon", name)
    namespace = next(i for i in yaml.safe_load_all(rendered("local")) if i["kind"] == "Namespace")
    cluster.kubectl("apply", "--server-side", "-f", "-", text=yaml.safe_dump(namespace))
    for model in SMALL_MODELS:
        files = f"--from-file={MODELS / model / '1'}"
        cluster.kubectl("-n", NAMESPACE, "create", "configmap", f"argosy-model-{model}", files)
    machine = Node(api, "machine", "zone-m", ROOMY, models=MODELS, folder=tmp_path_factory.mktemp("node"))
    machine.start()
    try:
        apply("local")
        api.wait(DEPLOYMENTS, available, 240)
        yield machine
    finally:
        cluster.kubectl("-n", NAMESPACE, "delete", "deployments", "--all", "--wait=false")
        machine.stop()
        dns.close()
        for item in api.items("/api/v1/nodes"):
            cluster.kubectl("uncordon", item["metadata"]["name"])
        api.delete("/api/v1/nodes/machine")


@pytest.fixture
def load(node):
    """Classifications through the router, as long as the test goes on; a lost one fails it."""
    with Load(f"{address_of(node, 'argosy-router')}:8500", t.VISION_CLASSIFY, t.classify(t.seven())) as load:
        load.wait_for_answers(50)
        yield load
        load.wait_for_answers(50)
    assert load.errors == []
    assert {label(reply) for reply in load.replies} == {"7"}


def label(reply):
    return VisionServiceClassifyResponse.FromString(reply).results[0].categories[0].label


def runs_of(node, name):
    return [run for run in node.runs.values() if run.ended is None and run.pod["metadata"]["name"].startswith(name)]


def address_of(node, name):
    (run,) = runs_of(node, name)
    return run.sandbox.address


def first_process(run):
    (child,) = psutil.Process(run.process.popen.pid).children()
    return child


def test_each_process_is_ready_by_its_own_probes_without_a_restart(node):
    runs = [run for name in ("vision", "text", "tabular", "router") for run in runs_of(node, f"argosy-{name}")]
    assert [run.restarts for run in runs] == [0] * 4
    assert all(0 < run.ready_after_s < 60 for run in runs)


@pytest.mark.parametrize("name", ["argosy-vision", "argosy-text", "argosy-tabular", "argosy-router"])
def test_a_process_runs_as_nobody_in_particular_without_rights_on_a_root_that_it_cannot_write(node, name):
    (run,) = runs_of(node, name)
    about = Path(f"/proc/{first_process(run).pid}")
    lines = (about / "status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert status["Uid"].split() == ["10001"] * 4
    assert status["NoNewPrivs"] == "1"
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    options = {line.split()[1]: line.split()[3].split(",") for line in (about / "mounts").read_text().splitlines()}
    assert "ro" in options["/"]
    assert "rw" in options["/tmp"]


def test_a_process_stays_well_below_its_memory_limit(node):
    for run in node.runs.values():
        limits = run.process.limits
        assert 0 < limits.most_memory() < limits.memory * 0.8


def test_a_second_replica_is_found_by_name_and_one_that_goes_is_missed_by_nobody(node, cluster, api, load):
    cluster.kubectl("-n", NAMESPACE, "scale", "deployment/argosy-vision", "--replicas=2")
    api.wait(DEPLOYMENTS, available, 120)
    first, _ = runs_of(node, "argosy-vision")
    load.wait_for_answers(200)
    assert ready_endpoints(node) == 2
    cluster.kubectl("-n", NAMESPACE, "delete", "pod", first.pod["metadata"]["name"])
    api.wait(DEPLOYMENTS, available, 120)
    assert first.ended.exit_code == 0
    assert not first.ended.killed


def test_a_rollout_of_the_service_loses_no_call(node, cluster, api, load):
    before = runs_of(node, "argosy-vision")
    cluster.kubectl("-n", NAMESPACE, "rollout", "restart", "deployment/argosy-vision")
    cluster.kubectl("-n", NAMESPACE, "rollout", "status", "deployment/argosy-vision", "--timeout=240s")
    api.wait(PODS, lambda pods: not {r.pod["metadata"]["name"] for r in before} & {p["metadata"]["name"] for p in pods},
             120, VISION)  # fmt: skip
    assert [run.ended.exit_code for run in before] == [0] * len(before)
    assert all(run.ended.took_s < run.pod["spec"]["terminationGracePeriodSeconds"] for run in before)


def test_a_process_that_is_killed_is_started_again_and_no_call_is_lost(node, api, load):
    run = runs_of(node, "argosy-vision")[0]
    first_process(run).kill()
    restarted(api, run, 1)


def test_a_frozen_process_is_killed_by_its_liveness_probe_and_started_again(node, api):
    run = runs_of(node, "argosy-tabular")[0]
    first_process(run).send_signal(signal.SIGSTOP)
    restarted(api, run, 1)


def restarted(api, run, times):
    name = run.pod["metadata"]["name"]

    def again(pods):
        states = [pod["status"]["containerStatuses"][0] for pod in pods if pod["metadata"]["name"] == name]
        return [state for state in states if state["restartCount"] == times and state["ready"]]

    assert api.wait(PODS, again, 240)


def ready_endpoints(node):
    """How many endpoints of the digits the router has."""
    with grpc.insecure_channel(f"{address_of(node, 'argosy-router')}:8500") as channel:
        models = ModelServiceStub(channel).ListModels(ListModelsRequest(), 10).models
    return sum(model.ready_endpoint_count for model in models if model.model == "digits")
