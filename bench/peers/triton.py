"""Triton's server with its Python backend, out of the PyPI wheel nvidia-pytriton, without pytriton around it.

The wheel has the server's binary, the Python backend and its libraries, and no other backend: ONNX Runtime runs inside
the Python backend here, over whole batches that Triton's dynamic batcher has made. The backend reads arrays right only
with numpy before 2. Its shared memory is under /dev/shm; one that is killed leaves it there, so the next one clears it.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import onnxruntime as ort
import psutil

from bench.cases import Case
from bench.peers.install import PeerUnavailableError, environment, site_packages

NAME = "triton"
MAX_BATCH = 64
SHARED_MEMORY = Path("/dev/shm")
_REGION = "argosy-bench-"
_TYPES = {"tensor(float)": "TYPE_FP32", "tensor(int64)": "TYPE_INT64", "tensor(string)": "TYPE_STRING"}


def command(case: Case, port: int, folder: Path) -> list[str]:
    """What starts it for the case's model, with everything that it reads written into `folder`."""
    clear_leftovers(SHARED_MEMORY)
    packages = site_packages(environment(NAME))
    backends = _backends(packages, folder)
    _write_repository(case, folder / "repository")
    return [
        "env",
        f"LD_LIBRARY_PATH={packages / 'nvidia_pytriton.libs'}",
        f"PYTHONPATH={packages}",
        f"PATH={packages.parents[2] / 'bin'}:{os.environ['PATH']}",
        str(packages / "pytriton" / "tritonserver" / "bin" / "tritonserver"),
        f"--model-repository={folder / 'repository'}",
        f"--backend-directory={backends}",
        "--grpc-address=127.0.0.1",
        f"--grpc-port={port}",
        "--allow-http=false",
        "--allow-metrics=false",
        "--log-info=false",
        f"--backend-config=python,shm-region-prefix-name={_REGION}{os.getpid()}-",
    ]


def clear_leftovers(folder: Path) -> None:
    """Remove the shared memory of Tritons whose benchmark has ended: a region's name has the benchmark's process id."""
    for region in folder.glob(f"{_REGION}*"):
        owner = region.name.removeprefix(_REGION).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            region.unlink(missing_ok=True)


def _backends(packages: Path, folder: Path) -> Path:
    """The Python backend with the stub of this interpreter's version, which the wheel keeps apart."""
    tritonserver = packages / "pytriton" / "tritonserver"
    stub = tritonserver / "python_backend_stubs" / "{}.{}".format(*sys.version_info[:2]) / "triton_python_backend_stub"
    if not stub.is_file():
        raise PeerUnavailableError(f"its wheel has no Python backend for {sys.version_info[0]}.{sys.version_info[1]}")
    backend = folder / "backends" / "python"
    backend.mkdir(parents=True)
    for file in (tritonserver / "backends" / "python").glob("*.*"):
        (backend / file.name).symlink_to(file)
    shutil.copy(stub, backend)
    return folder / "backends"


def _write_repository(case: Case, repository: Path) -> None:
    version = repository / case.model / "1"
    version.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("triton_model.py"), version / "model.py")
    (repository / case.model / "config.pbtxt").write_text(_config(case), encoding="utf-8")


def _config(case: Case) -> str:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(case.graph), options, providers=["CPUExecutionProvider"])
    return f"""
name: "{case.model}"
backend: "python"
max_batch_size: {MAX_BATCH}
input [{_tensors(session.get_inputs())}]
output [{_tensors(session.get_outputs())}]
instance_group [{{kind: KIND_CPU, count: 1}}]
dynamic_batching {{}}
parameters {{key: "graph", value: {{string_value: "{case.graph.resolve()}"}}}}
"""


def _tensors(nodes: Sequence[ort.NodeArg]) -> str:
    return ", ".join(
        f'{{name: "{node.name}", data_type: {_TYPES[node.type]}, '
        f"dims: [{', '.join(str(size) if isinstance(size, int) else '-1' for size in node.shape[1:])}]}}"
        for node in nodes
    )
