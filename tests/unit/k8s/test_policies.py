"""What must hold of every object of every overlay, whoever writes the next one."""

import subprocess
import sys
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from k8s.testing import tools

from .conftest import K8S
from .schemas import validate

# The first run builds kustomize and kube-score.
pytestmark = pytest.mark.timeout(600)

# Volumes that the standard `restricted` allows and that no node's state depends on.
VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "projected"}
COMPONENTS = sorted(path.name for path in (K8S / "components").iterdir())
# After which other component one is used.
AFTER = {"gpu-mig": ("gpu",), "gpu-time-slicing": ("gpu",)}
# kube-score's checks that are not held, each with its reason.
NOT_HELD = {
    "container-image-pull-policy": "tags are versions and releases are digests: pulling again brings the same image",
    "pod-networkpolicy": "network policies are a component; the overlay local has none",
    "container-ephemeral-storage-request-and-limit": "the only writable places are volumes with a size limit",
    "deployment-replicas": "the overlay local has one replica of each on one node",
    "deployment-has-host-podantiaffinity": "spreading is done by topologySpreadConstraints",
}


def deployments(objects):
    return [item for item in objects if item["kind"] == "Deployment"]


def pods(objects):
    return [item["spec"]["template"]["spec"] for item in deployments(objects)]


def containers(objects):
    return [c for pod in pods(objects) for c in (*pod["containers"], *pod.get("initContainers", ()))]


def test_every_object_is_what_the_api_of_the_oldest_and_the_newest_version_takes(overlay):
    for item in overlay:
        validate(item)


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_component_renders_alone_on_the_local_overlay_and_is_valid(with_component, component):
    for item in with_component(*AFTER.get(component, ()), component):
        validate(item)


@pytest.mark.parametrize(("kind", "field"), [("Deployment", "replica"), ("PodMonitor", "selektor"), ("Gateway", "x")])
def test_a_misspelt_field_would_be_found(overlays, kind, field):
    item = next(item for item in overlays["production"] if item["kind"] == kind)
    with pytest.raises((kubernetes_validate.ValidationError, jsonschema.ValidationError), match=field):
        validate({**item, "spec": {**item["spec"], field: 2}})


def test_a_pod_meets_the_restricted_pod_security_standard(overlay):
    for pod in pods(overlay):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert {key for volume in pod["volumes"] for key in volume} - {"name"} <= VOLUMES
    for container in containers(overlay):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_no_process_can_speak_to_the_api_server(overlay):
    assert not [pod for pod in pods(overlay) if pod["automountServiceAccountToken"]]
    accounts = [item for item in overlay if item["kind"] == "ServiceAccount"]
    assert not [account for account in accounts if account["automountServiceAccountToken"]]
    assert not [item["kind"] for item in overlay if "Role" in item["kind"]]


def test_everything_lives_in_a_namespace_that_enforces_the_restricted_standard(overlay):
    (namespace,) = [item for item in overlay if item["kind"] == "Namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    others = [item for item in overlay if item["kind"] not in {"Namespace", "PriorityClass"}]
    assert {item["metadata"]["namespace"] for item in others} == {namespace["metadata"]["name"]}


def test_an_image_has_a_version_and_never_the_tag_latest(overlay):
    for container in containers(overlay):
        _, _, tag = container["image"].partition(":")
        assert tag not in {"", "latest"}


def test_a_container_states_what_it_needs_and_what_it_may_take(overlay):
    for container in containers(overlay):
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert {"cpu", "memory"} <= container["resources"]["limits"].keys()


def test_a_container_that_serves_has_the_three_probes_in_grpc(overlay):
    for pod in pods(overlay):
        for container in pod["containers"]:
            assert all("grpc" in container[f"{name}Probe"] for name in ("startup", "readiness", "liveness"))


def test_a_volume_that_is_written_to_has_a_size_limit(overlay):
    empty = [volume["emptyDir"] for pod in pods(overlay) for volume in pod["volumes"] if "emptyDir" in volume]
    assert all("sizeLimit" in volume for volume in empty)


def test_what_lies_on_a_nodes_disk_does_not_keep_the_cluster_autoscaler_from_emptying_it(overlay):
    for item in deployments(overlay):
        template = item["spec"]["template"]
        on_disk = {volume["name"] for volume in template["spec"]["volumes"] if "emptyDir" in volume}
        safe = template["metadata"]["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"]
        assert on_disk <= set(safe.split(","))


def test_replicas_are_the_autoscalers_where_there_is_one(overlays):
    scaled = {item["metadata"]["name"] for item in overlays["production"] if item["kind"] == "HorizontalPodAutoscaler"}
    assert scaled == {item["metadata"]["name"] for item in deployments(overlays["production"])}
    assert not [item for item in deployments(overlays["production"]) if "replicas" in item["spec"]]


def test_keda_scales_what_the_autoscalers_would(overlays, with_component):
    keda = [item for item in with_component("keda") if item["kind"] == "ScaledObject"]
    named = {item["metadata"]["name"]: item["spec"]["scaleTargetRef"]["name"] for item in keda}
    assert named == {item["metadata"]["name"]: item["metadata"]["name"] for item in deployments(overlays["local"])}
    queries = [(item["metadata"]["name"], t["metadata"]["query"]) for item in keda for t in item["spec"]["triggers"]]
    assert all(f'pod=~"{name}-.*"' in query for name, query in queries)


def test_what_the_autoscalers_ask_for_is_what_the_rules_record(overlays):
    (rules,) = [item for item in overlays["production"] if item["kind"] == "PrometheusRule"]
    recorded = {rule["record"] for group in rules["spec"]["groups"] for rule in group["rules"] if "record" in rule}
    scalers = [item for item in overlays["production"] if item["kind"] == "HorizontalPodAutoscaler"]
    assert {metric["pods"]["metric"]["name"] for item in scalers for metric in item["spec"]["metrics"]} == recorded


def test_a_version_that_another_has_taken_the_place_of_alarms_nobody(overlays):
    (rules,) = [item for item in overlays["production"] if item["kind"] == "PrometheusRule"]
    alerts = {rule["alert"]: rule for group in rules["spec"]["groups"] for rule in group["rules"] if "alert" in rule}
    # It stays among the statuses as unloaded, and argosy_model_ready with it, at 0: see ServiceMetrics.
    assert alerts["ArgosyModelHasNoEndpoint"]["expr"] == "sum by (namespace, model) (argosy_model_ready) == 0"


def test_a_gpu_goes_to_vision_and_text_and_the_table_service_stays_on_the_cpu(overlays):
    limits = {d["metadata"]["name"]: containers([d])[0]["resources"]["limits"] for d in deployments(overlays["gpu"])}
    gpus = {name: limit.get("nvidia.com/gpu") for name, limit in limits.items()}
    assert gpus == {"argosy-vision": 1, "argosy-text": 1, "argosy-tabular": None, "argosy-router": None}


@pytest.mark.parametrize(
    ("component", "resource"), [("gpu-mig", "nvidia.com/mig-1g.10gb"), ("gpu-time-slicing", "nvidia.com/gpu.shared")]
)
def test_a_share_of_a_gpu_is_asked_for_in_place_of_a_whole_one(with_component, component, resource):
    limits = [container["resources"]["limits"] for container in containers(with_component("gpu", component))]
    assert [limit[resource] for limit in limits if resource in limit] == [1, 1]
    assert not [limit for limit in limits if "nvidia.com/gpu" in limit]


def test_overlays_hold_no_objects_of_their_own():
    files = [path.name for path in (K8S / "overlays").rglob("*") if path.is_file()]
    assert set(files) == {"kustomization.yaml"}


def test_kube_score_finds_nothing_but_what_is_argued_for(overlay):
    ignored = [flag for name in NOT_HELD for flag in ("--ignore-test", name)]
    done = subprocess.run(
        [tools.kube_score(), "score", "--output-format", "ci", *ignored, "-"],
        check=False, input=yaml.safe_dump_all(overlay), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert not done.returncode, done.stderr
    assert not [line for line in done.stdout.splitlines() if line.startswith(("[CRITICAL]", "[WARNING]"))], done.stdout


def test_the_dockerfile_is_clean_to_hadolint():
    program = Path(sys.executable).parent / "hadolint"
    command = [program, "--no-color", K8S / "Dockerfile"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert not done.returncode, done.stdout
