"""A service that is told to serve signed versions only: a real process, asked straight and through the router."""

import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from inference import grpc_service_pb2 as oip
from tests.e2e.calls import call, refused
from tests.e2e.conftest import ready_versions, wait_until_routed
from tests.e2e.disk import add_version, copy_models, edit_manifest
from tests.e2e.harness import ANY_PORTS, Processes, Server

LOAD = "/inference.GRPCInferenceService/RepositoryModelLoad"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A private key; the public one lies beside it as key.pub.pem."""
    made = Ed25519PrivateKey.generate()
    private = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(private)
    public = made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pub.pem").write_bytes(public)
    return tmp_path / "key.pem"


@pytest.fixture
def models(tmp_path: Path, key: Path) -> Path:
    """diabetes/1, signed."""
    folder = copy_models(tmp_path / "models", "diabetes")
    sign(folder, key, "1")
    return folder


@pytest.fixture(params=["straight", "routed"])
def server(request: pytest.FixtureRequest, processes: Processes, models: Path, key: Path, tmp_path: Path) -> Server:
    service = processes.service("tabular", models, "--require-signature", str(key.with_suffix(".pub.pem")))
    if request.param == "straight":
        return service
    router = processes.router(tmp_path, {"tabular": [service.address]})
    wait_until_routed(router, [("diabetes", "1")])
    return router


def sign(models: Path, key: Path, version: str) -> None:
    """As a user does."""
    command = [sys.executable, "-m", "argosy_cli", "models", "sign", "diabetes", "--model-version", version]
    subprocess.run([*command, "--key", str(key), "--models-dir", str(models)], check=True, timeout=60)


def load(server: Server) -> None:
    call(server.channel, LOAD, oip.RepositoryModelLoadRequest(model_name="diabetes"))


def load_refused(server: Server) -> tuple[grpc.StatusCode, str]:
    error = refused(server.channel, LOAD, oip.RepositoryModelLoadRequest(model_name="diabetes"))
    return error.code, error.reason


def test_only_what_was_signed_takes_over_and_what_served_goes_on(server: Server, models: Path, key: Path) -> None:
    folder = add_version(models, "diabetes", "2")
    (folder / "model.yaml.sig").unlink()
    assert load_refused(server) == (grpc.StatusCode.FAILED_PRECONDITION, "NOT_SIGNED")
    assert set(ready_versions(server.channel)) == {("diabetes", "1")}

    sign(models, key, "2")
    edit_manifest(folder, lambda manifest: manifest.update(description="somebody else's"))
    assert load_refused(server) == (grpc.StatusCode.FAILED_PRECONDITION, "SIGNATURE_WRONG")
    assert set(ready_versions(server.channel)) == {("diabetes", "1")}

    (folder / "model.yaml.sig").unlink()
    sign(models, key, "2")
    load(server)
    wait_until_routed(server, [("diabetes", "2")])


def test_a_key_that_is_none_ends_the_service_with_one_line(processes: Processes, models: Path) -> None:
    no_key = models / "diabetes" / "1" / "model.yaml"
    command = [sys.executable, "-m", "services.tabular", "--models-dir", str(models), *ANY_PORTS]
    process = processes.run("tabular", [*command, "--require-signature", str(no_key)])
    assert process.wait() == 1
    assert process.log == f"argosy tabular: require_signature: {no_key} holds no public key in PEM"
