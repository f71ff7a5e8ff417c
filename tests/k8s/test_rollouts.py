"""What goes live while callers call: images, versions of a model, the router itself, and a node that is emptied.

Each is done with the commands of docs/kubernetes.md as they are typed, on processes in pods. Callers find the router by
its Service's address; one lost or wrong answer fails a test.
"""

import pytest
import yaml

from tests.e2e.disk import add_version, copy_models
from tests.e2e.load import Load

from .conftest import DEPLOYMENTS, K8S, MODELS, NAMESPACE, PODS
from .machine import PROCESSES, runs_of, wait_until_gone
from .page import KUBERNETES, README, blocks, commands_on
from .test_overlays import available

VISION = "app.kubernetes.io/name=argosy-vision"
NEW, NOWHERE = "argosy/service-cpu:0.1.1", "argosy/service-cpu:0.1.2"


@pytest.fixture(scope="module")
def claimed(tmp_path_factory):
    """The models on the volume: what the trainer has written so far."""
    return copy_models(tmp_path_factory.mktemp("volume"), "digits", "word-language", "diabetes")


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
def desk(tmp_path_factory):
    """Where the operator types: the repository, and an overlay of their own in `fleet`."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "k8s").symlink_to(K8S)
    (folder / "protos").symlink_to(K8S.parent / "protos")
    copy_models(folder / "models", "digits")
    (folder / "fleet").mkdir()
    (folder / "fleet" / "kustomization.yaml").write_text("resources: [../k8s/overlays/local]\n")
    return folder


@pytest.fixture
def type_in(cluster, desk):
    """Writes into `fleet` what the page does under a heading, then types its commands in which `word` stands."""

    def of(heading, word, change=str):
        for overlay in blocks(KUBERNETES, heading, "yaml"):
            merged = yaml.safe_load((desk / "fleet" / "kustomization.yaml").read_text()) | yaml.safe_load(overlay)
            (desk / "fleet" / "kustomization.yaml").write_text(yaml.safe_dump(merged))
        return cluster.run_as_typed(change(commands_on(KUBERNETES, heading, word)), desk)

    return of


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
    load.wait_for_answers(50)
    assert Load.version_of(load.replies[-1]) == "2"
