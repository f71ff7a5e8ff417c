"""Clients that know nothing of Argosy: Triton's, unchanged, and stubs that plain protoc makes of protos/."""

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from grpc_tools import protoc

from tests.e2e import traffic as t
from tests.e2e.conftest import wait_until_routed
from tests.e2e.disk import copy_models
from tests.e2e.harness import ROOT, Processes, Server

PROGRAM = Path(__file__).with_name("triton_program.py")
STUB_PROGRAM = """
import json, sys
import grpc
from argosy.v1 import vision_pb2, vision_pb2_grpc
from inference import grpc_service_pb2, grpc_service_pb2_grpc

with grpc.insecure_channel(sys.argv[1]) as channel:
    image = open(sys.argv[2], "rb").read()
    request = vision_pb2.VisionServiceClassifyRequest(model="digits", images=[image], top_k=1)
    reply = vision_pb2_grpc.VisionServiceStub(channel).Classify(request, timeout=20)
    live = grpc_service_pb2_grpc.GRPCInferenceServiceStub(channel).ServerLive(grpc_service_pb2.ServerLiveRequest())
print(json.dumps([vision_pb2.__file__, reply.results[0].categories[0].label, live.live]))
"""


@pytest.fixture(params=["straight", "routed"])
def server(request: pytest.FixtureRequest, processes: Processes, tmp_path: Path) -> Server:
    service = processes.service("vision", copy_models(tmp_path / "models", "digits"))
    if request.param == "straight":
        return service
    router = processes.router(tmp_path, {"vision": [service.address]})
    wait_until_routed(router, [("digits", "1")])
    return router


def test_tritons_client_works_unchanged(server: Server) -> None:
    told = run([sys.executable, str(PROGRAM), server.address, "digits"], ROOT)

    assert [told[key] for key in ("live", "ready", "model_ready", "version_ready")] == [True] * 4
    assert told["unknown_ready"] is False
    assert {"model_repository", "statistics"} <= set(told["server"]["extensions"])
    assert told["metadata"]["inputs"] == [{"name": "image", "datatype": "FP32", "shape": ["-1", "28", "28", "1"]}]
    assert told["config"]["name"] == "digits"
    assert told["config"]["input"][0]["dims"] == ["28", "28", "1"]
    assert [(m["name"], m["version"], m["state"]) for m in told["index"]] == [("digits", "1", "READY")]
    assert (told["id"], told["shape"]) == ("a", [3, 10])
    assert told["sums"] == pytest.approx([1, 1, 1], abs=1e-4)
    assert told["alike"] == [True] * 4
    assert "nosuch" in told["stream_error"]
    assert int(told["statistics"]["inference_count"]) == 12
    assert told["ready_after_unload"] is False
    assert [(m["name"], m["state"]) for m in told["index_after_load"]] == [("digits", "READY")]


def test_a_stub_that_plain_protoc_makes_works(server: Server, tmp_path: Path) -> None:
    protos = ROOT / "protos"
    sources = sorted(str(path.relative_to(protos)) for path in protos.glob("*/**/*.proto"))
    stubs = tmp_path / "stubs"
    stubs.mkdir()
    includes = [f"-I{protos}", f"-I{files('grpc_tools') / '_proto'}"]
    assert protoc.main(["protoc", *includes, f"--python_out={stubs}", f"--grpc_python_out={stubs}", *sources]) == 0
    for folder in ("argosy", "argosy/v1", "inference"):
        (stubs / folder / "__init__.py").touch()  # a package, so that ours, which is installed, does not win
    program = stubs / "program.py"
    program.write_text(STUB_PROGRAM, encoding="utf-8")

    module, label, live = run([sys.executable, str(program), server.address, str(t.SEVEN)], stubs)

    assert module.startswith(str(stubs))
    assert (label, live) == ("7", True)


def run(command: list[str], folder: Path) -> dict[str, object]:
    """What a program prints, as JSON."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
