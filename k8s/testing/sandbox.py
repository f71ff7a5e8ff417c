"""A pod's place to run: a network, a root file system and limits of its own, made with what every Linux has.

The root is the image's, below a writable layer that is then made read-only. Everything else is as the pod says: its
user, no capabilities, its volumes, its address, the cluster's DNS, its cgroup limits. So a process that writes where
it may not, needs a right that it does not have, or outgrows its limit fails here as it would in a cluster. Needs root,
in a network and mount namespace of the tests' own.
"""

import os
import secrets
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from k8s.testing import dns
from k8s.testing import enter as entering
from k8s.testing.api import Object
from k8s.testing.images import Image
from k8s.testing.tools import ROOT
from k8s.testing.volumes import Mount, cpu_quota_us, quantity

BRIDGE = "argosy0"
GATEWAY = "10.244.0.1"
_RESOLVER = rf"nameserver {dns.ADDRESS}\nsearch %s.{dns.DOMAIN} {dns.DOMAIN}\noptions ndots:5\n"
_CGROUPS = Path("/sys/fs/cgroup")


def make_network() -> None:
    """The node's bridge, the way from it to the pods, and the address of the cluster's DNS."""
    _ip("link", "set", "lo", "up")
    _ip("link", "add", BRIDGE, "type", "bridge")
    _ip("address", "add", f"{GATEWAY}/16", "dev", BRIDGE)
    _ip("link", "set", BRIDGE, "up")
    _ip("address", "add", f"{dns.ADDRESS}/32", "dev", "lo")
    Path("/run/netns").mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run/netns"], check=True)  # noqa: S607


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The sandbox of one pod; `name` is at most ten characters, `folder` is its own."""

    name: str
    address: str
    folder: Path
    namespace: str
    mounts: Mapping[str, Mount]
    images: Mapping[str, Image]

    def open(self) -> None:
        """Make the network. Raises CalledProcessError."""
        _ip("netns", "add", self.name)
        _ip("link", "add", f"v{self.name}", "type", "veth", "peer", "name", "eth0", "netns", self.name)
        _ip("link", "set", f"v{self.name}", "master", BRIDGE, "up")
        _ip("-n", self.name, "link", "set", "lo", "up")
        _ip("-n", self.name, "address", "add", f"{self.address}/16", "dev", "eth0")
        _ip("-n", self.name, "link", "set", "eth0", "up")
        _ip("-n", self.name, "route", "add", "default", "via", GATEWAY)

    def close(self) -> None:
        """Give the network back. What ran here has ended."""
        _ip("netns", "delete", self.name)

    def start(self, pod: Object, container: Object, log: Path) -> "Process":
        """Start a container of the pod. The log gets what it writes. Raises KeyError for an image that is not here."""
        image = self.images[container["image"]]
        # The machine's cgroups are shared with other runs of the tests.
        limits = Limits.of(f"argosy-{secrets.token_hex(6)}", container["resources"]["limits"])
        script = self._script(pod, container, image, limits)
        own = {entry["name"]: entry["value"] for entry in container.get("env", ())}
        # First the limits: the new namespaces have no sight of the cgroups.
        enter = " ".join(f"echo 0 > {path}/cgroup.procs;" for path in limits.enter())
        inside = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-euc", script]
        popen = subprocess.Popen(  # noqa: S603
            ["/bin/bash", "-euc", f'{enter} exec "$@"', "enter", "ip", "netns", "exec", self.name, *inside],
            env={"HOME": "/", "HOSTNAME": self.name, **image.environment, **own},
            stdin=subprocess.DEVNULL,
            stdout=log.open("ab"),
            stderr=subprocess.STDOUT,
        )
        return Process(popen, limits)

    def _script(self, pod: Object, container: Object, image: Image, limits: "Limits") -> str:
        root = "$work/root"
        layers = f"lowerdir={image.root},upperdir=$work/up,workdir=$work/work"
        return "\n".join([
            f"work={shlex.quote(str(self.folder / container['name']))}",
            "mount --make-rprivate /; mkdir -p $work; mount -t tmpfs tmpfs $work; mkdir $work/up $work/work $work/root",
            f"mount -t overlay overlay -o {layers} {root}",
            *(f"chmod o+x {root}{folder}" for folder in _ways_in(image)),
            f"rm -f {root}/etc/resolv.conf {root}/etc/hosts; echo 127.0.0.1 localhost > {root}/etc/hosts",
            f"printf '{_RESOLVER}' {self.namespace} > {root}/etc/resolv.conf",
            f"mkdir -p {root}/proc {root}/dev {root}/sys",
            f"mount -t proc proc {root}/proc; mount --rbind /dev {root}/dev",
            f"mount -t tmpfs tmpfs {root}/sys; mkdir -p {root}/sys/fs/cgroup",
            f"echo {limits.quota_us or 'max'} 100000 > {root}/sys/fs/cgroup/cpu.max",
            *(line for mount in container["volumeMounts"] for line in self._mount_lines(root, mount)),
            f"mount -o remount,ro {root}",
            _start_line(root, pod["securityContext"], container, image),
        ])  # fmt: skip

    def _mount_lines(self, root: str, mount: Object) -> list[str]:
        volume, target = self.mounts[mount["name"]], f"{root}{mount['mountPath']}"
        source = shlex.quote(str(volume.source))
        lines = [f"mkdir -p {target}; mount --bind {source} {target}"]
        return [*lines, f"mount -o remount,bind,ro {target}"] if mount.get("readOnly") or not volume.size else lines


@dataclass(frozen=True, slots=True)
class Limits:
    """A container's limits as cgroups; where the machine's cannot be written, the process only sees the CPU limit."""

    name: str
    quota_us: int
    memory: int

    @staticmethod
    def of(name: str, limits: Object) -> "Limits":
        return Limits(name, cpu_quota_us(str(limits["cpu"])), quantity(limits["memory"]))

    def enter(self) -> list[Path]:
        """Make the groups; a process that writes itself into them is held to the limits."""
        settings = {"cpu": ("cpu.cfs_quota_us", self.quota_us), "memory": ("memory.limit_in_bytes", self.memory)}
        if (_CGROUPS / "cgroup.controllers").exists():
            settings = {"": ("memory.max", self.memory)}
        return [path for controller, setting in settings.items() if (path := self._group(controller, *setting))]

    def most_memory(self) -> int:
        """The most bytes that the container has held, 0 where that is not known."""
        path = _CGROUPS / "memory" / self.name / "memory.max_usage_in_bytes"
        return int(path.read_text()) if path.exists() else 0

    def leave(self) -> None:
        """Remove the groups; nothing runs in them any more."""
        for controller in ("cpu", "memory", ""):
            folder = _CGROUPS / controller / self.name
            # The kernel says that a process has ended before it has left its group.
            while folder.exists() and (folder / "cgroup.procs").read_text():
                threading.Event().wait(0.05)
            if folder.exists():
                folder.rmdir()

    def _group(self, controller: str, file: str, value: int) -> Path | None:
        folder = _CGROUPS / controller / self.name
        try:
            folder.mkdir(exist_ok=True)
            (folder / file).write_text(str(value))
        except OSError:
            return None
        return folder


@dataclass(frozen=True, slots=True)
class Process:
    """A running container."""

    popen: "subprocess.Popen[bytes]"
    limits: Limits

    def signal(self, number: int) -> None:
        """Send a signal to the container's first process."""
        # It may have ended by itself just now.
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.popen.pid).children():
                child.send_signal(number)

    def kill(self) -> None:
        """End the container's first process, and with it all others. Its parent ends with it."""
        self.signal(signal.SIGKILL)
        self.popen.wait()


def _start_line(root: str, user: Object, container: Object, image: Image) -> str:
    command = container.get("command") or image.entrypoint
    ids = (str(user[name]) for name in ("runAsUser", "runAsGroup", "fsGroup"))
    wanted = shlex.join([*ids, image.working_folder, *command, *container.get("args", ())])
    return f"exec {shlex.join([sys.executable, '-I', entering.__file__])} {root} {wanted}"


def _ways_in(image: Image) -> list[Path]:
    """Where this machine is the image: the folders above the interpreter and the checkout, which everyone may pass."""
    if image.root != Path("/"):
        return []
    places = {Path(sys.base_prefix).resolve(), ROOT, Path(os.path.realpath(sys.executable))}
    return sorted({folder for place in places for folder in place.parents if folder != Path("/")})


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=30)  # noqa: S603, S607
