"""What can be wrong around a program, each with what it must do: say what happened, exit as stated, and not hang."""

import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.clients.programs import Outcome
from tests.e2e.harness import Processes

TIMEOUT_S = 3.0
# A virtual machine or an interpreter that starts beside other work.
START_S = 7.0


@dataclass(frozen=True, slots=True)
class Case:
    """`error` is a pattern for the last line of standard error; '' where the program must succeed."""

    name: str
    flags: tuple[str, ...]
    code: int
    error: str

    def problem(self, outcome: Outcome) -> str:
        """What is not as it should be; '' where all is."""
        if outcome.code is None or outcome.elapsed_s > TIMEOUT_S + START_S:
            return f"hung for {outcome.elapsed_s:.1f} s"
        if outcome.code != self.code:
            return f"exit code {outcome.code}, expected {self.code}: {outcome.error_line}"
        if not re.match(self.error, outcome.error_line):
            return f"expected an error like {self.error!r}, got {outcome.error_line!r}"
        return ""


@contextmanager
def cases(processes: Processes, router: str, http: str, models_dir: Path, folder: Path) -> Iterator[list[Case]]:
    """Every case, its servers running. `router` answers; `http` is a port that speaks HTTP and no gRPC."""
    authority, certificate, key = make_certificate(folder)
    tls = ("--tls-certificate", str(certificate), "--tls-private-key", str(key), "--model", "digits")
    secure = processes.service("vision", models_dir, *tls).address
    trusted = ("--tls-ca", str(authority))
    embedding, in_time = ("--only", "embedding"), ("--timeout-s", f"{TIMEOUT_S}")
    with _port() as closed, _port() as mute:
        mute.listen()
        yield [
            _case("server away", closed, in_time, "error: (UNAVAILABLE|DEADLINE_EXCEEDED)"),
            _case("a port that never speaks", mute, in_time, "error: [A-Z_]+"),
            _case("an HTTP port", http, in_time, "error: [A-Z_]+"),
            _case("TLS against plaintext", router, (*trusted, *in_time), "error: [A-Z_]+"),
            _case("plaintext against TLS", secure, in_time, "error: [A-Z_]+"),
            _case("TLS", secure, ("--only", "image", *trusted), "", 0),
            _case("a reply over the limit", router, (*embedding, "--max-message-bytes", "1000"), "error: .*"),
            _case(
                "no such model", router, ("--only", "image", "--model", "nix"),
                "error: NOT_FOUND UNKNOWN_MODEL: no model 'nix'$",
            ),
            _case("a cancelled call", router, (*embedding, "--cancel-after-ms", "20"), "error: CANCELLED"),
            _case("no samples", router, ("--samples", str(folder)), "error: .*seven.png", 2),
            _case("an unknown flag", router, ("--nix",), "error: ", 2),
        ]  # fmt: skip


def make_certificate(folder: Path) -> tuple[Path, Path, Path]:
    """PEM files: an authority's certificate, one for 127.0.0.1 that it signed, and that one's key."""
    authority, authority_key = folder / "authority.pem", folder / "authority.key"
    certificate, key, names = folder / "server.pem", folder / "server.key", folder / "names.cnf"
    names.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=critical,CA:FALSE\n")
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")
    _openssl("req", "-x509", *new_key, "-keyout", authority_key, "-out", authority, "-subj", "/CN=authority")
    _openssl("req", "-new", *new_key, "-keyout", key, "-out", folder / "server.csr", "-subj", "/CN=localhost")
    signing = ("-CA", authority, "-CAkey", authority_key, "-CAcreateserial", "-days", "2", "-extfile", names)
    _openssl("x509", "-req", "-in", folder / "server.csr", *signing, "-out", certificate)
    return authority, certificate, key


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def _case(name: str, target: "str | socket.socket", flags: tuple[str, ...], error: str, code: int = 1) -> Case:
    address = target if isinstance(target, str) else f"127.0.0.1:{target.getsockname()[1]}"
    return Case(name, ("--address", address, *flags), code, error)


@contextmanager
def _port() -> Iterator[socket.socket]:
    """A bound port: refused until it listens, and then, with nobody to accept, mute."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound
