"""Row 24: a version that must not be served is refused with its reason, and the one before goes on answering."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from argosy.v1.vision_pb2 import VisionServiceClassifyResponse
from inference import grpc_service_pb2 as oip
from tests.e2e import traffic as t
from tests.e2e.calls import call, refused
from tests.e2e.conftest import ROUTED, WAYS, front_of, refused_by_the_router, wait_until_ready, wait_until_routed
from tests.e2e.disk import add_version, copy_models, edit_manifest, seal
from tests.e2e.harness import Processes, Server
from tests.e2e.load import Load
from tests.gpu.card import why_not

LOAD = "/inference.GRPCInferenceService/RepositoryModelLoad"
UNLOAD = "/inference.GRPCInferenceService/RepositoryModelUnload"
INDEX = "/inference.GRPCInferenceService/RepositoryIndex"

# Makes a version one that must not be served.
Fault = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Own:
    """A vision service over a folder of its own, and the server that the test asks: itself, or a router before it."""

    models: Path
    service: Server
    server: Server

    def load(self) -> None:
        call(self.server.channel, LOAD, oip.RepositoryModelLoadRequest(model_name="digits"))

    def version(self) -> str:
        """Which version answers a request that names none; it must be right about the 7."""
        message = call(self.server.channel, t.VISION_CLASSIFY, t.classify(t.seven()))
        reply = VisionServiceClassifyResponse.FromString(message)
        assert reply.results[0].categories[0].label == "7"
        return reply.version


@pytest.fixture(params=WAYS)
def own(request: pytest.FixtureRequest, processes: Processes, tmp_path: Path) -> Own:
    models = copy_models(tmp_path / "models", "digits")
    service = processes.service("vision", models, "--front", front_of(request.param))
    if request.param != ROUTED:
        return Own(models, service, service)
    router = processes.router(tmp_path, {"vision": [service.address]})
    wait_until_routed(router, [("digits", "1")])
    return Own(models, service, router)


def digest_changed(folder: Path) -> None:
    graph = bytearray((folder / "model.onnx").read_bytes())
    graph[-1] ^= 1
    (folder / "model.onnx").write_bytes(graph)


def file_outside(folder: Path) -> None:
    edit_manifest(folder, lambda manifest: manifest["files"].append({"path": "../1/model.onnx", "sha256": "00"}))


def external_data_outside(folder: Path) -> None:
    """A tensor whose contents the graph reads from a path: StringStringEntryProto location -> ../../1/model.onnx."""
    path = b"../../1/model.onnx"
    entry = t.field(13, t.field(1, b"location") + t.field(2, path))  # TensorProto.external_data
    graph = folder / "model.onnx"
    graph.write_bytes(graph.read_bytes() + t.field(7, t.field(5, t.field(8, b"w") + entry)))  # GraphProto.initializer
    seal(folder)


def symbolic_link(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").symlink_to("../1/model.onnx")


def truncated(folder: Path) -> None:
    graph = folder / "model.onnx"
    graph.write_bytes(graph.read_bytes()[: graph.stat().st_size // 2])
    seal(folder)


def file_missing(folder: Path) -> None:
    (folder / "model.onnx").unlink()


def parity_failed(folder: Path) -> None:
    edit_manifest(folder, lambda manifest: manifest["parity"].update(passed=False))


def manifest_cut_short(folder: Path) -> None:
    manifest = folder / "model.yaml"
    manifest.write_text(manifest.read_text()[:500] + "\n  : [")


def another_signature(folder: Path) -> None:
    edit_manifest(folder, lambda manifest: manifest["outputs"][0].update(name="scores"))


def cuda_asked_for(folder: Path) -> None:
    (folder.parent / "serving.yaml").write_text("provider: cuda\n")


FAULTS: dict[Fault, str] = {
    digest_changed: "DIGEST_MISMATCH",
    file_outside: "FILE_OUTSIDE",
    external_data_outside: "FILE_NOT_LISTED",
    symbolic_link: "FILE_IS_LINK",
    truncated: "MODEL_UNLOADABLE",
    file_missing: "FILE_MISSING",
    parity_failed: "PARITY_NOT_PASSED",
    manifest_cut_short: "MANIFEST_UNREADABLE",
    another_signature: "SIGNATURE_MISMATCH",
}


def test_every_bad_update_is_refused_with_its_reason_and_the_old_version_goes_on(own: Own) -> None:
    for number, (fault, reason) in enumerate(FAULTS.items(), start=2):
        check_refused(own, str(number), fault, reason)

    states = index(own)
    assert states["1"][0] == "READY"
    assert {state for version, (state, _) in states.items() if version != "1"} == {"UNAVAILABLE"}
    assert "digest" in states["2"][1]


@pytest.mark.skipif(not why_not("cuda"), reason="there is a card here: who asks for CUDA gets it")
def test_a_version_that_is_to_run_on_a_card_is_refused_where_there_is_none(own: Own) -> None:
    check_refused(own, "2", cuda_asked_for, "PROVIDER_UNAVAILABLE")


def check_refused(own: Own, version: str, fault: Fault, reason: str) -> None:
    """A version with that fault is refused, and version 1 answers."""
    fault(add_version(own.models, "digits", version))

    error = refused(own.server.channel, LOAD, oip.RepositoryModelLoadRequest(model_name="digits"))

    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, reason)
    assert own.version() == "1"


def test_a_good_version_takes_over_under_load_without_an_error(own: Own) -> None:
    with Load(own.server.address, t.VISION_CLASSIFY, t.classify(t.seven())) as load:
        load.wait_for_answers(50)
        add_version(own.models, "digits", "2")
        own.load()
        load.wait_for_answers(50)

    assert load.errors == []
    assert own.version() == "2"
    assert {load.version_of(answer) for answer in (load.replies[0], load.replies[-1])} == {"1", "2"}
    assert index(own)["1"] == ("UNAVAILABLE", "unloaded")


def test_an_unloaded_model_is_unavailable_until_it_is_loaded_again(own: Own) -> None:
    call(own.server.channel, UNLOAD, oip.RepositoryModelUnloadRequest(model_name="digits"))
    wait_until_ready(own.server.channel, lambda ready: not ready)
    # Of what is out of service a service says that it may come back, the router that nobody has it.
    if own.server is own.service:
        error = refused(own.server.channel, t.VISION_CLASSIFY, t.classify(t.seven()))
        assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "MODEL_NOT_READY")
        assert error.retry_after_s is not None
    else:
        error = refused_by_the_router(own.server, t.VISION_CLASSIFY, t.classify(t.seven()))
        assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_MODEL")

    own.load()
    wait_until_routed(own.server, [("digits", "1")])
    assert own.version() == "1"


def index(own: Own) -> dict[str, tuple[str, str]]:
    """Version -> state and reason."""
    reply = oip.RepositoryIndexResponse.FromString(call(own.server.channel, INDEX, oip.RepositoryIndexRequest()))
    return {model.version: (model.state, model.reason) for model in reply.models}
