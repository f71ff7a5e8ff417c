"""TLS, and certificates of clients."""

import socket
import subprocess
import time
from pathlib import Path

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest

from services.runtime.front import Front, Tls
from tests.contract.conftest import MakeFront


class Authority:
    """A certificate authority of a test."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.certificate, self._key = folder / "ca.pem", folder / "ca.key"
        _openssl("req", "-x509", *NEW_KEY, "-keyout", self._key, "-out", self.certificate, "-subj", "/CN=authority")

    def issue(self, name: str) -> tuple[Path, Path]:
        """A certificate for localhost and its key."""
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        signing = ("-CA", self.certificate, "-CAkey", self._key)
        names = ("-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        # openssl makes authorities unless told otherwise, and not every front takes one for a client.
        leaf = ("-addext", "basicConstraints=critical,CA:FALSE")
        _openssl("req", "-x509", *NEW_KEY, *signing, "-keyout", key, "-out", certificate, *names, *leaf)
        return certificate, key


NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2")


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def ask(front: Front, trusted: Authority, client: tuple[Path, Path] | None = None) -> bytes:
    certificate, key = (path.read_bytes() for path in client) if client else (None, None)
    credentials = grpc.ssl_channel_credentials(trusted.certificate.read_bytes(), key, certificate)
    with grpc.secure_channel(front.address, credentials) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        return check(HealthCheckRequest().SerializeToString(), timeout=20)


def test_a_client_that_trusts_the_authority_is_answered(make_front: MakeFront, authority: Authority) -> None:
    front = make_front(tls=Tls(*authority.issue("server")))
    assert ask(front, authority)


def test_plain_text_gets_no_answer(make_front: MakeFront, authority: Authority) -> None:
    front = make_front(tls=Tls(*authority.issue("server")))
    with grpc.insecure_channel(front.address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=20)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_client_that_never_begins_does_not_hold_up_a_drain(make_front: MakeFront, authority: Authority) -> None:
    front = make_front(tls=Tls(*authority.issue("server")))
    host, _, port = front.address.rpartition(":")
    with socket.create_connection((host, int(port))):
        assert ask(front, authority)  # by a connection that was taken after the silent one
        began = time.monotonic()
        front.drain(grace_s=0.2, notice_s=0)
        assert time.monotonic() - began < 5


def test_a_client_shows_a_certificate_of_the_right_authority(
    make_front: MakeFront, authority: Authority, tmp_path: Path
) -> None:
    front = make_front(tls=Tls(*authority.issue("server"), client_ca=authority.certificate))
    assert ask(front, authority, authority.issue("client"))
    stranger = Authority(tmp_path / "stranger")
    for client in (None, stranger.issue("client")):
        with pytest.raises(grpc.RpcError) as caught:
            ask(front, authority, client)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_certificate_that_is_not_there_is_an_error_at_once(make_front: MakeFront, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nonesuch"):
        make_front(tls=Tls(tmp_path / "nonesuch.pem", tmp_path / "nonesuch.key"))
