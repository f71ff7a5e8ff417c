"""The fleet's four processes as the manifests run them, held against what the programs themselves say."""

import tomllib

import pytest

from argosy.v1 import model_pb2, tabular_pb2, text_pb2, vision_pb2
from argosy_cli.programs import DEFAULT_PORTS
from exporter.manifest import GRAPH_FILE, MANIFEST_FILE
from exporter.parity_rows import PARITY_FILE
from services.router.config import load_config
from services.runtime.settings import ServiceSettings

from .conftest import K8S

SERVICES = ("vision", "text", "tabular")
PROCESSES = (*SERVICES, "router")
READY_NAMES = {
    "vision": vision_pb2.DESCRIPTOR.services_by_name["VisionService"].full_name,
    "text": text_pb2.DESCRIPTOR.services_by_name["TextService"].full_name,
    "tabular": tabular_pb2.DESCRIPTOR.services_by_name["TabularService"].full_name,
    # '': any model of the fleet.
    "router": None,
}
MODEL_SERVICE = model_pb2.DESCRIPTOR.services_by_name["ModelService"].full_name

# The first run builds kustomize.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def find(overlay):
    def of_kind(kind, process):
        (found,) = [o for o in overlay if o["kind"] == kind and o["metadata"]["name"] == f"argosy-{process}"]
        return found

    return of_kind


def pod_of(find, process):
    return find("Deployment", process)["spec"]["template"]["spec"]


def container_of(find, process):
    (container,) = pod_of(find, process)["containers"]
    return container


def ports_of(container):
    return {port["name"]: port["containerPort"] for port in container["ports"]}


def test_three_services_and_a_router_each_have_a_deployment_a_service_an_account_and_a_budget(overlay):
    kinds = ("Deployment", "PodDisruptionBudget", "Service", "ServiceAccount")
    named = {(o["kind"], o["metadata"]["name"]) for o in overlay if o["kind"] in kinds}
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


@pytest.mark.parametrize("process", PROCESSES)
def test_models_decide_whether_a_process_is_ready_and_never_whether_it_is_restarted(find, process):
    container = container_of(find, process)
    assert container["readinessProbe"]["grpc"].get("service") == READY_NAMES[process]
    assert container["startupProbe"]["grpc"]["service"] == MODEL_SERVICE
    assert container["livenessProbe"]["grpc"]["service"] == MODEL_SERVICE


@pytest.mark.parametrize("service", SERVICES)
def test_a_model_service_is_told_to_listen_on_its_ports_and_reads_the_models_it_cannot_write(find, service):
    container = container_of(find, service)
    grpc_port, metrics_port = DEFAULT_PORTS[service]
    flags = [f"--address=0.0.0.0:{grpc_port}", f"--metrics-address=0.0.0.0:{metrics_port}"]
    assert container["args"] == [f"services.{service}", *flags]
    assert {"name": "models", "mountPath": "/models", "readOnly": True} in container["volumeMounts"]
    assert {"name": "ARGOSY_MODELS_DIR", "value": "/models"} in container["env"]


@pytest.mark.parametrize("process", PROCESSES)
def test_every_setting_in_the_environment_is_one_that_the_program_has(find, process):
    names = {entry["name"] for entry in container_of(find, process).get("env", [])}
    settings = {f"ARGOSY_{name.upper()}" for name in ServiceSettings.model_fields}
    assert {name for name in names if name.startswith("ARGOSY_")} <= settings


@pytest.mark.parametrize("service", SERVICES)
def test_the_address_of_a_model_service_resolves_to_each_of_its_replicas(find, service):
    assert find("Service", service)["spec"]["clusterIP"] == "None"


def test_the_router_reads_a_fleet_that_names_each_service_and_its_port(overlay, find, tmp_path):
    (fleet,) = [item for item in overlay if item["kind"] == "ConfigMap" and "fleet.yaml" in item["data"]]
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
    spreads = pod_of(find, process)["topologySpreadConstraints"]
    assert [spread["labelSelector"]["matchLabels"] for spread in spreads] == [own] * len(spreads)


@pytest.mark.parametrize("process", PROCESSES)
def test_a_pod_has_longer_to_end_than_its_drain_takes(find, process):
    settings = ServiceSettings(address="0.0.0.0:1", metrics_address="0.0.0.0:2")
    service_s = settings.drain_notice_s + settings.drain_grace_s
    drain_s = load_config(K8S / "base" / "router" / "fleet.yaml").grace_s if process == "router" else service_s
    pause_s = container_of(find, process)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod_of(find, process)["terminationGracePeriodSeconds"] > pause_s + drain_s


def found_after_s():
    """How long the router may take to find a new replica: DNS answers are kept for a while, and asked for in turns."""
    dns_cache_s = 5
    return dns_cache_s + load_config(K8S / "base" / "router" / "fleet.yaml").resolve_interval_s


@pytest.mark.parametrize("service", SERVICES)
def test_a_replica_that_is_evicted_serves_until_the_router_can_have_found_the_one_in_its_place(find, service):
    assert container_of(find, service)["lifecycle"]["preStop"]["sleep"]["seconds"] > found_after_s()


@pytest.mark.parametrize("process", PROCESSES)
def test_no_old_replica_goes_before_the_router_can_have_found_the_new_one(find, process):
    spec = find("Deployment", process)["spec"]
    assert spec["minReadySeconds"] > found_after_s()
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_images_are_named_after_stages_of_the_dockerfile_and_have_the_version_of_the_project(overlay):
    stages = {line.split()[-1] for line in (K8S / "Dockerfile").read_text().splitlines() if line[:5] == "FROM "}
    version = tomllib.loads((K8S.parent / "pyproject.toml").read_text())["project"]["version"]
    pods = [item["spec"]["template"]["spec"] for item in overlay if item["kind"] == "Deployment"]
    images = {c["image"] for pod in pods for c in (*pod["containers"], *pod.get("initContainers", ()))}
    assert images <= {f"argosy/{stage}:{version}" for stage in stages}


def test_the_images_wheel_is_built_from_every_package_of_the_project():
    project = tomllib.loads((K8S.parent / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    copied = {line.split()[1] for line in (K8S / "Dockerfile").read_text().splitlines() if line[:5] == "COPY "}
    context = {line[1:] for line in (K8S / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"}
    needed = {"protos" if package.startswith("protos/") else package for package in packages}
    assert needed <= copied & context


def test_a_version_from_a_config_map_has_every_file_that_its_manifest_lists(overlays):
    deployments = [item for item in overlays["local"] if item["kind"] == "Deployment"]
    volumes = [volume for item in deployments for volume in item["spec"]["template"]["spec"]["volumes"]]
    sources = [source for volume in volumes for source in volume.get("projected", {"sources": []})["sources"]]
    assert sources
    for config_map in (source["configMap"] for source in sources):
        assert {item["key"] for item in config_map["items"]} == {GRAPH_FILE, MANIFEST_FILE, PARITY_FILE}
