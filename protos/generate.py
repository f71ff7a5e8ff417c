"""Generate the Python of every .proto beside it: `python protos/generate.py [OUTPUT_DIR]`.

A .proto's path below this folder equals its Python package, so what the compiler writes needs no patching.
"""

import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

PROTOS = Path(__file__).parent


def generate(output: Path) -> None:
    """Write *_pb2.py, *_pb2.pyi, *_pb2_grpc.py and *_pb2_grpc.pyi below `output`. Raises SystemExit on a bad .proto."""
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("*/**/*.proto"))
    well_known = str(files("grpc_tools") / "_proto")
    arguments = ["protoc", f"-I{PROTOS}", f"-I{well_known}", f"--python_out={output}", f"--grpc_python_out={output}"]
    # Beside this interpreter, wherever PATH points.
    scripts = Path(sys.executable).parent
    arguments += [f"--plugin={name}={scripts / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]
    arguments += [f"--mypy_out=quiet:{output}", f"--mypy_grpc_out=quiet:{output}"]
    if protoc.main([*arguments, *sources]) != 0:
        raise SystemExit("the compiler refused a .proto; its message is above")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else PROTOS)
