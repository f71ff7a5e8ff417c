"""The manifests as kustomize renders them: what the API server would get."""

import subprocess
from pathlib import Path

import pytest
import yaml

from k8s.testing import tools

K8S = Path(__file__).parents[3] / "k8s"
OVERLAYS = sorted(path.name for path in (K8S / "overlays").iterdir())


def render(folder):
    try:
        program = tools.kustomize()
    except tools.MissingToolError as error:
        pytest.skip(str(error))
    done = subprocess.run([program, "build", folder], check=False, timeout=60, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@pytest.fixture(scope="session")
def overlays():
    """Every object of each overlay, by the overlay's name."""
    return {name: render(K8S / "overlays" / name) for name in OVERLAYS}


@pytest.fixture(params=OVERLAYS)
def overlay(request, overlays):
    """The objects of one overlay."""
    return overlays[request.param]


@pytest.fixture(scope="session")
def with_component(tmp_path_factory):
    """The objects of the local overlay and one component more."""
    rendered = {}

    def of(*names):
        if names not in rendered:
            # Beside the overlays, as kustomize takes no absolute paths.
            folder = tmp_path_factory.mktemp("overlay")
            up = Path(*[".."] * len(folder.parts)) / K8S.relative_to("/")
            parts = [str(up / "components" / name) for name in names]
            content = {"resources": [str(up / "overlays" / "local")], "components": parts}
            (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
            rendered[names] = render(folder)
        return rendered[names]

    return of
