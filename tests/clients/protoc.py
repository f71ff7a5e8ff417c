"""protoc for the build tools that want it on PATH: the machine's own, or else the one in the package grpcio-tools."""

import os
import shlex
import shutil
import sys
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).resolve().parents[2] / ".cache" / "protoc"


@cache
def tools_path() -> str:
    """PATH, with a protoc on it."""
    path = os.environ.get("PATH", os.defpath)
    if shutil.which("protoc", path=path) is not None:
        return path
    _FOLDER.mkdir(parents=True, exist_ok=True)
    _write(_FOLDER / "protoc", f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m grpc_tools.protoc "$@"\n')
    return f"{path}{os.pathsep}{_FOLDER}"


def _write(program: Path, text: str) -> None:
    part = program.with_suffix(f".{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.chmod(0o755)
    part.replace(program)
