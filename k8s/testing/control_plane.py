"""A real Kubernetes control plane as child processes: etcd, API server, controllers and scheduler, and simulated zones.

Made for a network namespace of its own, so the ports are Kubernetes' usual ones. Nodes are simulated, a kwok process a
zone: it keeps their leases and says that pods placed there run, unconditionally; ending it is what losing a zone looks
like to the control plane. What pods do is seen in `node.py`, which runs them.
"""

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from k8s.testing import tools
from k8s.testing.api import Api, ApiError, Object
from k8s.testing.certificates import Certificates, make_certificates

_HOST = "127.0.0.1"
_API = f"{_HOST}:6443"
_ETCD = f"http://{_HOST}:2379"
_START_LIMIT_S = 120.0
_STOP_LIMIT_S = 20.0
ZONE = "topology.kubernetes.io/zone"


class ControlPlane:
    """A running control plane; `folder` holds its certificates, data and logs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._program = tools.control_plane()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._certificates = make_certificates(folder)
        admin = self._certificates.pair("admin")
        self.api = Api(_API, self._certificates.authority, admin.certificate, admin.key)
        self._kubeconfig = self._certificates.kubeconfig("admin", f"https://{_API}")
        self._zones = 0

    @property
    def certificates(self) -> Certificates:
        return self._certificates

    def start(self) -> None:
        """Start everything and wait until the API answers. Raises RuntimeError with the end of a log."""
        self._spawn("etcd", "etcd", *_etcd_flags(self._folder))
        self._spawn("apiserver", "kube-apiserver", *_api_server_flags(self._certificates))
        self._wait_until_ready()
        for name, flags in (("controllers", _CONTROLLER_FLAGS), ("scheduler", ())):
            config = self._certificates.kubeconfig(name, f"https://{_API}")
            own = [*(f"--{kind}kubeconfig={config}" for kind in ("", "authentication-", "authorization-"))]
            if name == "controllers":
                own += [f"--service-account-private-key-file={self._certificates.account_key}",
                        f"--root-ca-file={self._certificates.authority}"]  # fmt: skip
            program = {"controllers": "kube-controller-manager", "scheduler": "kube-scheduler"}[name]
            self._spawn(name, program, *own, "--leader-elect=false", f"--bind-address={_HOST}", *flags)
        self.api.wait("/api/v1/namespaces/default/serviceaccounts", bool, _START_LIMIT_S)

    def stop(self) -> None:
        """End what was started, the last first."""
        for name in reversed(list(self._processes)):
            self.end(name)

    def end(self, name: str) -> None:
        process = self._processes.pop(name)
        process.terminate()
        try:
            process.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()

    def kubectl(self, *arguments: str | Path, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the cluster's administrator. Raises CalledProcessError, its output on standard error."""
        command = [self._program, "kubectl", f"--kubeconfig={self._kubeconfig}", *arguments]
        done = subprocess.run(  # noqa: S603 - the arguments are the tests'
            command, check=False, capture_output=True, text=True, timeout=300, input=more.get("text")
        )
        if check and done.returncode:
            raise RuntimeError(f"kubectl {' '.join(map(str, arguments))}: {done.stderr}")
        return done

    def run_as_typed(self, text: str, folder: Path) -> str:
        """Run commands of a page in `folder`, with kubectl on the path. Raises RuntimeError with what they said."""
        programs = self._folder / "bin"
        programs.mkdir(exist_ok=True)
        if not (programs / "kubectl").exists():
            # The program is the part that it is called by.
            (programs / "kubectl").symlink_to(self._program)
        path = os.pathsep.join([str(programs), str(tools.grpcurl().parent), os.environ["PATH"]])
        done = subprocess.run(  # noqa: S603 - the commands are the project's
            ["/bin/bash", "-euo", "pipefail", "-c", text], check=False, capture_output=True, text=True, timeout=400,
            cwd=folder, env={**os.environ, "PATH": path, "KUBECONFIG": str(self._kubeconfig)},
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{text}\n{done.stdout}{done.stderr}")
        return done.stdout

    def add_zone(self, zone: str, nodes: int, capacity: Object) -> None:
        """Simulated nodes in a zone of their own; `capacity` is what each has. Waits until they are ready."""
        self._zones += 1
        pair, port = self._certificates.pair("apiserver"), 10300 + self._zones
        self._spawn(
            zone, "kwok", f"--kubeconfig={self._kubeconfig}", f"--config={tools.node_stages()}",
            "--manage-all-nodes=false", f"--manage-nodes-with-label-selector={ZONE}={zone}",
            f"--cidr=10.{100 + self._zones}.0.0/16", f"--node-ip={_HOST}", f"--node-port={port}",
            f"--server-address={_HOST}:{port}", f"--tls-cert-file={pair.certificate}",
            f"--tls-private-key-file={pair.key}", "--node-lease-duration-seconds=40",
        )  # fmt: skip
        for number in range(nodes):
            self.api.create("/api/v1/nodes", node_object(f"{zone}-{number}", zone, capacity))
        selector = f"{ZONE}={zone}"
        self.api.wait("/api/v1/nodes", lambda found: all(map(is_ready, found)), _START_LIMIT_S, selector)

    def _spawn(self, name: str, *command: str) -> None:
        log = (self._folder / f"{name}.log").open("wb")
        self._processes[name] = subprocess.Popen(  # noqa: S603 - the control plane's own parts
            [self._program, *command], stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )

    def _wait_until_ready(self) -> None:
        give_up_at = time.monotonic() + _START_LIMIT_S
        pause = Event()
        while time.monotonic() < give_up_at:
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended: {(self._folder / f'{name}.log').read_text()[-2000:]}")
            # An API server that starts tells nobody when it has: it has to be asked.
            try:
                self.api.get("/readyz")
            except (ApiError, OSError):
                pause.wait(0.2)
            else:
                return
        raise RuntimeError("the API server does not become ready")


def node_object(name: str, zone: str, capacity: Object) -> Object:
    """A Node as a kubelet registers it."""
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", ZONE: zone}
    addresses = [{"type": "InternalIP", "address": _HOST}, {"type": "Hostname", "address": name}]
    status = {"capacity": capacity, "allocatable": capacity, "addresses": addresses}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "status": status}


def is_ready(item: Object) -> bool:
    """Whether a node or a pod has the condition Ready."""
    return has_condition(item, "Ready")


def has_condition(item: Object, kind: str) -> bool:
    conditions = item.get("status", {}).get("conditions", ())
    return any(condition["type"] == kind and condition["status"] == "True" for condition in conditions)


# What takes minutes in a cluster takes seconds here: a silent node is given up after 25 s, and its pods go at once.
_CONTROLLER_FLAGS: Sequence[str] = (
    "--use-service-account-credentials",
    "--node-monitor-period=2s",
    "--node-monitor-grace-period=25s",
    "--node-eviction-rate=50",
    "--horizontal-pod-autoscaler-sync-period=3s",
)


def _etcd_flags(folder: Path) -> tuple[str, ...]:
    peer = f"http://{_HOST}:2380"
    return (
        "--name=tests", f"--data-dir={folder / 'etcd'}", f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}", f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=tests={peer}", "--unsafe-no-fsync", "--log-level=warn",
    )  # fmt: skip


def _api_server_flags(certificates: Certificates) -> tuple[str, ...]:
    server, proxy = certificates.pair("apiserver"), certificates.pair("front-proxy")
    return (
        f"--etcd-servers={_ETCD}", f"--bind-address={_HOST}", f"--advertise-address={_HOST}", "--secure-port=6443",
        "--endpoint-reconciler-type=none", "--profiling=false", "--authorization-mode=Node,RBAC",
        # Otherwise a privileged pod is refused before PodSecurity has seen it.
        "--allow-privileged=true",
        f"--tls-cert-file={server.certificate}", f"--tls-private-key-file={server.key}",
        f"--client-ca-file={certificates.authority}", "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={certificates.account_key}",
        f"--service-account-key-file={certificates.account_key}",
        f"--requestheader-client-ca-file={certificates.authority}", "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={proxy.certificate}", f"--proxy-client-key-file={proxy.key}",
    )  # fmt: skip
