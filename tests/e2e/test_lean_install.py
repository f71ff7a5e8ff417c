"""A service installs and serves without any training framework: `pip install '.[cpu]'` is all that it needs."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from argosy.v1.vision_pb2 import VisionServiceClassifyResponse
from tests.e2e import traffic as t
from tests.e2e.calls import call
from tests.e2e.disk import copy_models
from tests.e2e.harness import ANY_PORTS, ROOT, Processes

FRAMEWORKS = ("torch", "tensorflow", "keras", "sklearn", "onnx", "pandas", "tf2onnx", "skl2onnx", "xgboost", "scipy")
INSTALL_TIMEOUT_S = 300

pytestmark = pytest.mark.timeout(2 * INSTALL_TIMEOUT_S)


@pytest.fixture(scope="module")
def lean_python() -> Path:
    """The interpreter of an environment with nothing but '.[cpu]'; kept until what it is made of changes."""
    sources = b"".join((ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt"))
    environment = ROOT / ".cache" / "lean" / hashlib.sha256(sources + sys.version.encode()).hexdigest()[:16]
    python = environment / "bin" / "python"
    installed = environment / ".installed"
    if not installed.exists():
        run(sys.executable, "-m", "venv", "--clear", str(environment))
        run(str(python), "-m", "pip", "install", "-q", "-c", "constraints.txt", ".[cpu]")
        installed.touch()
    # The code itself is always that of now.
    run(str(python), "-m", "pip", "install", "-q", "--no-deps", "--force-reinstall", ".")
    return python


def test_the_lean_environment_has_no_training_framework(lean_python: Path, tmp_path: Path) -> None:
    program = f"from importlib.util import find_spec; print([n for n in {FRAMEWORKS!r} if find_spec(n)])"
    assert run(str(lean_python), "-c", program, folder=tmp_path).strip() == "[]"


@pytest.mark.parametrize(("kind", "model"), [("vision", "digits"), ("text", "sentiment"), ("tabular", "diabetes")])
def test_every_service_serves_in_the_lean_environment(
    kind: str, model: str, lean_python: Path, processes: Processes, tmp_path: Path
) -> None:
    models = copy_models(tmp_path / "models", model)
    command = [str(lean_python), "-m", f"services.{kind}", "--models-dir", str(models), *ANY_PORTS]

    # Elsewhere than in the repository, so that what runs is what was installed.
    server = processes.serve(kind, command, tmp_path)

    assert server.process.wait_for("loaded")["models"] == [f"{model}/1"]
    assert server.process.wait_for("loaded")["ready"] is True
    if kind == "vision":
        reply = VisionServiceClassifyResponse.FromString(call(server.channel, t.VISION_CLASSIFY, t.classify(t.seven())))
        assert reply.results[0].categories[0].label == "7"


def run(*command: str, folder: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
