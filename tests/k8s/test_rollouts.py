"""What goes live while callers call: images, versions of a model, the router itself, and a node that is emptied.

Each is done with the commands of docs/kubernetes.md as they are typed, on processes in pods. Callers find the router by
its Service's address; one lost or wrong answer fails a test.
"""

import pytest
import yaml

from k8s.testing.control_plane import is_ready
from tests.e2e.disk import add_version, copy_models
from tests.e2e.load import Load

from .conftest import DEPLOYMENTS, K8S, MODELS, NAMESPACE, PODS
from .machine import PROCESSES, runs_of, wait_until_gone
from .page import README, commands_on
from .test_overlays import available

VISION = "app.kubernetes.io/name=argosy-vision"
VOLUMES = "/api/v1/persistentvolumes"
NEW, NOWHERE = "argosy/service-cpu:0.1.1", "argosy/service-cpu:0.1.2"


@pytest.fixture(scope="module")
def claimed(tmp_path_factory):
    """The models on the volume: what the trainer has written so far."""
    folder = tmp_path_factory.mktemp("volume")
    # The pods' user reads it.
    folder.chmod(0o755)
    return copy_models(folder, "digits", "word-language", "diabetes")


@pytest.fixture(scope="module")
def machine(add_machine, claimed):
    return add_machine("machine", claimed)


@pytest.fixture(scope="module")
def fleet(machine, cluster, api, images):
    """The local overlay on the machine; the new image has the contents of the old one."""
    images[NEW] = images["argosy/service-cpu:0.1.0"]
    cluster.run_as_typed(commands_on(README, "Other languages, and Kubernetes", "kubectl apply"), MODELS.parent)
    api.wait(DEPLOYMENTS, available, 240)
    yield machine
    del images[NEW]


@pytest.fixture(scope="module")
def desk(make_desk):
    """The operator's overlay is the local one at first; the newest model is theirs to publish."""
    folder = make_desk({"resources": ["../k8s/overlays/local"]})
    copy_models(folder / "models", "digits")
    return folder


@pytest.fixture(scope="module")
def volume(api, claimed):
    """A volume of the cluster for the claim of the models; where it lies is the machine's affair."""
    spec = {"capacity": {"storage": "20Gi"}, "accessModes": ["ReadWriteMany"], "hostPath": {"path": str(claimed)},
            "claimRef": {"namespace": NAMESPACE, "name": "argosy-models"}}  # fmt: skip
    metadata = {"name": "argosy-models"}
    api.create(VOLUMES, {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec})
    yield claimed
    api.delete(f"{VOLUMES}/argosy-models")


def ended_by_themselves(runs):
    return all(
        run.ended.exit_code == 0 and not run.ended.killed
        and run.ended.took_s < run.pod["spec"]["terminationGracePeriodSeconds"]
        for run in runs
    )  # fmt: skip


def test_a_new_image_goes_live_and_no_call_is_lost(fleet, api, load, type_in):
    before = [run for name in PROCESSES[:3] for run in runs_of(fleet, name)]
    type_in("A new image", "kubectl apply")
    wait_until_gone(api, before)
    images = {
        pod["spec"]["containers"][0]["image"] for pod in api.items(PODS, "app.kubernetes.io/component=model-service")
    }
    assert images == {NEW}
    assert ended_by_themselves(before)


def test_an_image_that_is_nowhere_leaves_the_old_replica_serving_until_it_is_taken_back(
    fleet, cluster, api, load, type_in
):
    old = runs_of(fleet, "argosy-vision")
    cluster.kubectl("-n", NAMESPACE, "set", "image", "deployment/argosy-vision", f"argosy={NOWHERE}")

    def waiting(pods):
        states = [
            pod["status"]["containerStatuses"][0]["state"] for pod in pods if "containerStatuses" in pod["status"]
        ]
        return [state for state in states if state.get("waiting", {}).get("reason") == "ErrImageNeverPull"]

    assert api.wait(PODS, waiting, 60, VISION)
    load.wait_for_answers(100)
    type_in("A new image", "undo")
    assert api.wait(PODS, lambda pods: len(pods) == 1, 60, VISION)
    assert runs_of(fleet, "argosy-vision") == old


def test_another_configuration_of_the_router_rolls_it_out_and_no_call_is_lost(fleet, api, load, type_in, desk):
    before = runs_of(fleet, "argosy-router")
    settings = yaml.safe_load((K8S / "base" / "router" / "fleet.yaml").read_text())
    (desk / "fleet" / "fleet.yaml").write_text(yaml.safe_dump({**settings, "worker_threads": 1}))
    type_in("The router", "kubectl apply")
    wait_until_gone(api, before)
    assert ended_by_themselves(before)


def test_a_new_version_of_a_model_goes_live_by_a_config_map(fleet, api, load, type_in, desk):
    before = runs_of(fleet, "argosy-vision")
    add_version(desk / "models", "digits", "2")
    assert Load.version_of(load.replies[-1]) == "1"
    type_in("A new version of a model: ConfigMap", "kubectl apply")
    wait_until_gone(api, before)
    load.wait_for_version("2")


def test_models_move_to_a_volume_and_no_call_is_lost(fleet, api, load, type_in, volume):
    add_version(volume, "digits", "3")
    before = runs_of(fleet, "argosy-vision")
    type_in("A new version of a model: volume", "kubectl apply")
    wait_until_gone(api, before)
    load.wait_for_version("3")


def test_a_new_version_on_the_volume_goes_live_by_one_call_without_a_restart(fleet, load, type_in, volume, router):
    add_version(volume, "digits", "4")

    def to_the_router(commands):
        """Without the way through the kubelet, which is not here."""
        _, _, call = commands.partition("&\n")
        return call.replace("127.0.0.1:8500", router)

    before = runs_of(fleet, "argosy-vision")
    type_in("A new version of a model: volume", "grpcurl", to_the_router)
    load.wait_for_version("4")
    assert runs_of(fleet, "argosy-vision") == before
    assert [run.restarts for run in before] == [0] * len(before)


@pytest.fixture
def other(add_machine, claimed, fleet, api):
    """A second machine; the first has two replicas of each process, as the base says."""
    api.wait(PODS, lambda pods: len(pods) == 2 * len(PROCESSES) and all(map(is_ready, pods)), 180)
    return add_machine("other", claimed)


def test_a_node_is_drained_and_no_call_is_lost(fleet, other, api, load, type_in):
    two_each = [run for name in PROCESSES for run in runs_of(fleet, name)]
    type_in("A node", "drain", lambda commands: commands.replace("NODE", "machine"))
    api.wait(DEPLOYMENTS, available, 120)
    load.wait_for_answers(100)
    assert ended_by_themselves(two_each)
    assert {name: len(runs_of(other, name)) for name in PROCESSES} == dict.fromkeys(PROCESSES, 2)
