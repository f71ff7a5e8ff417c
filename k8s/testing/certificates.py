"""The certificates of a control plane: one authority, one pair a component, made by openssl for one test run."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

_NAMES = "IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes.default.svc,DNS:metrics.monitoring.svc"
# What the API server takes the holder of a pair for.
_SUBJECTS = {
    "apiserver": "/CN=kube-apiserver",
    "front-proxy": "/CN=front-proxy",
    "admin": "/O=system:masters/CN=admin",
    "controllers": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, PEM."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files in one folder. `make_certificates` fills it."""

    folder: Path

    @property
    def authority(self) -> Path:
        return self.folder / "authority.crt"

    @property
    def account_key(self) -> Path:
        """What service accounts' tokens are signed with."""
        return self.folder / "accounts.key"

    def pair(self, name: str) -> Pair:
        return Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")

    def kubeconfig(self, name: str, server: str) -> Path:
        """A kubeconfig for the holder of the pair `name`."""
        path, pair = self.folder / f"{name}.kubeconfig", self.pair(name)
        path.write_text(f"""apiVersion: v1
kind: Config
clusters: [{{name: tests, cluster: {{server: "{server}", certificate-authority: {self.authority}}}}}]
users: [{{name: {name}, user: {{client-certificate: {pair.certificate}, client-key: {pair.key}}}}}]
contexts: [{{name: tests, context: {{cluster: tests, user: {name}}}}}]
current-context: tests
""")
        return path


def make_certificates(folder: Path) -> Certificates:
    """Make them all in `folder`. Raises CalledProcessError."""
    made = Certificates(folder)
    authority_key = folder / "authority.key"
    _openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", authority_key)
    _openssl(
        "req", "-x509", "-new", "-key", authority_key, "-sha256", "-days", "2", "-subj", "/CN=argosy-tests",
        "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        "-out", made.authority,
    )  # fmt: skip
    _openssl("genrsa", "-out", made.account_key, "2048")
    extensions = folder / "extensions.cnf"
    extensions.write_text(f"extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName={_NAMES}\n")
    for name, subject in _SUBJECTS.items():
        pair, request = made.pair(name), folder / f"{name}.csr"
        _openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", pair.key)
        _openssl("req", "-new", "-key", pair.key, "-subj", subject, "-out", request)
        _openssl(
            "x509", "-req", "-in", request, "-CA", made.authority, "-CAkey", authority_key, "-CAcreateserial",
            "-days", "2", "-sha256", "-extfile", extensions, "-out", pair.certificate,
        )  # fmt: skip
    return made


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)  # noqa: S603, S607
