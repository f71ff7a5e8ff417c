"""The fleet's images, built from `k8s/Dockerfile` by a real engine, and unpacked for the node that runs them.

The engine is buildah, which needs no daemon. The bases are stand-ins under the names that the Dockerfile asks for
(`bases.Dockerfile`), so that no registry of images is needed: what the Dockerfile does with them is what is tested, not
the bases themselves. The GPU image is deliberately not built: it is two gigabytes that nothing here could run.
"""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from k8s.testing import tools
from k8s.testing.tools import ROOT, MissingToolError

TARGETS = ("service-cpu", "router", "models")
FOLDER = ROOT / ".cache" / "images"
_DOCKERFILE = ROOT / "k8s" / "Dockerfile"
_BASES = Path(__file__).parent / "bases.Dockerfile"
_SUITE = "bookworm"
_PACKAGES = "ca-certificates,python3,python3-pip"
# How this machine reaches the indexes of packages, which a build must do too.
_SETTINGS = ("etc/pip.conf", "etc/ssl/certs/ca-certificates.crt")
_ALLOW_ALL = {"default": [{"type": "insecureAcceptAnything"}]}


@dataclass(frozen=True, slots=True)
class Image:
    """An image as a container runtime has it: a file system, and how its process starts."""

    root: Path
    entrypoint: tuple[str, ...]
    environment: Mapping[str, str]
    working_folder: str
    user: str
    labels: Mapping[str, str]


def build_images() -> None:
    """Build and unpack every image that is not as the sources are. Raises MissingToolError, CalledProcessError."""
    (FOLDER / "tmp").mkdir(parents=True, exist_ok=True)
    (FOLDER / "policy.json").write_text(json.dumps(_ALLOW_ALL))
    _make_bases()
    trained = f"--build-context=trained={ROOT / 'models'}"
    for target in TARGETS:
        identity = _build(_DOCKERFILE, target, f"argosy/{target}:{version()}", ROOT, trained)
        if not _identity_file(target).exists() or _identity_file(target).read_text() != identity:
            _unpack(target, identity)


def built_images() -> dict[str, Image]:
    """Reference -> image, of those that `build_images` has left here; none where they could not be built."""
    found = (target for target in TARGETS if _identity_file(target).exists())
    return {f"argosy/{target}:{version()}": _read(target) for target in found}


def this_machine() -> dict[str, Image]:
    """What stands in for the images where none can be built: this checkout and its virtual environment."""
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin:/usr/sbin:/sbin"
    environment = {"PATH": path, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    image = Image(Path("/"), ("python", "-m"), environment, "/tmp", "", {})  # noqa: S108 - as in the images
    return {f"argosy/{target}:{version()}": image for target in ("service-cpu", "router")}


def version() -> str:
    """The version of the project, which its images have too."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def _read(target: str) -> Image:
    config = json.loads((FOLDER / f"{target}.json").read_text())
    return Image(
        root=FOLDER / target,
        entrypoint=tuple(config.get("Entrypoint") or ()),
        environment=dict(entry.split("=", 1) for entry in config.get("Env") or ()),
        working_folder=config.get("WorkingDir") or "/",
        user=config.get("User", ""),
        labels=config.get("Labels") or {},
    )


def _make_bases() -> None:
    tags = dict(re.findall(r"^ARG (PYTHON|RUST|BUSYBOX)=(.+)$", _DOCKERFILE.read_text(), re.MULTILINE))
    # The models' image needs a `cp` of its base and nothing else.
    stages = {"python": "python", "busybox": "python", "rust": "rust"}
    missing = {f"{name}:{tags[name.upper()]}": stage for name, stage in stages.items()}
    missing = {reference: stage for reference, stage in missing.items() if not _has(reference)}
    if not missing:
        return
    toolchain = f"--build-context=toolchain={_rust()}"
    tree = FOLDER / "debian"
    _debootstrap(tree)
    for reference, stage in missing.items():
        _build(_BASES, stage, reference, tree, toolchain)
    shutil.rmtree(tree)


def _debootstrap(tree: Path) -> None:
    shutil.rmtree(tree, ignore_errors=True)
    program = tools.debootstrap()
    # Where the program finds its parts when it is not installed.
    parts = program.parents[1] / "share" / "debootstrap"
    # What it mounts meanwhile goes with the mount namespace.
    command = ["unshare", "--mount", "env", f"DEBOOTSTRAP_DIR={parts}", str(program), "--variant=minbase"]
    _run([*command, f"--include={_PACKAGES}", _SUITE, str(tree)])
    shutil.rmtree(tree / "var/cache/apt/archives")
    for setting in _SETTINGS:
        if (Path("/") / setting).exists():
            shutil.copy(Path("/") / setting, tree / setting)


def _rust() -> Path:
    if shutil.which("rustc") is None:
        raise MissingToolError("there is no Rust to build the images' native front with: install it as for make front")
    return Path(_run(["rustc", "--print", "sysroot"]).strip())


def _build(dockerfile: Path, target: str, reference: str, context: Path, *more: str) -> str:
    """The identity of the image that has been built and is now called `reference`."""
    identity = FOLDER / "built"
    _buildah(
        "build", "--layers", "--pull=never", "--isolation=chroot", "--network=host", f"--iidfile={identity}",
        f"--signature-policy={FOLDER / 'policy.json'}", f"--file={dockerfile}", f"--target={target}",
        f"--tag={reference}", *_own_limits(), *more, str(context),
    )  # fmt: skip
    return identity.read_text()


def _own_limits() -> Iterator[str]:
    """A build keeps the limits of this process: newer buildahs would raise them, which not every machine allows."""
    for name, number in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
        soft, hard = resource.getrlimit(number)
        yield f"--ulimit={name}={soft}:{hard}"


def _unpack(target: str, identity: str) -> None:
    _identity_file(target).unlink(missing_ok=True)
    described = json.loads(_buildah("inspect", "--type=image", identity))
    (FOLDER / f"{target}.json").write_text(json.dumps(described["OCIv1"]["config"]))
    shutil.rmtree(FOLDER / target, ignore_errors=True)
    container = _buildah("from", "--pull-never", identity).strip()
    mounted = _buildah("mount", container).strip()
    _run(["cp", "--archive", mounted, str(FOLDER / target)])
    _buildah("rm", container)
    _identity_file(target).write_text(identity)


def _identity_file(target: str) -> Path:
    return FOLDER / f"{target}.identity"


def _has(reference: str) -> bool:
    return bool(_buildah("images", "--quiet", "--filter", f"reference={reference}").strip())


def _buildah(*arguments: str) -> str:
    places = [f"--root={FOLDER / 'store'}", f"--runroot={FOLDER / 'run'}"]
    return _run([str(tools.buildah()), *places, *arguments])


def _run(command: list[str]) -> str:
    # What a build caches between runs lies in its folder for what is temporary.
    environment = {**os.environ, "TMPDIR": str(FOLDER / "tmp")}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True, timeout=1800)  # noqa: S603
    return done.stdout


if __name__ == "__main__":
    try:
        build_images()
    except MissingToolError as error:
        print(f"the fleet's images are not built: {error}", file=sys.stderr)
