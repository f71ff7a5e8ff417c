"""The languages of clients/ and how each is built and run, in its own build tool's words.

`{python}` in a command is this interpreter. A language is skipped, by name, where one of its tools is not on PATH.
"""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.clients.protoc import tools_path

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = ROOT / "clients"
SAMPLES = CLIENTS / "samples"

Command = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Language:
    """`tools` must be on PATH; `build` and `run` are run in the language's folder, the program's flags follow `run`."""

    name: str
    tools: tuple[str, ...]
    build: tuple[Command, ...]
    run: Command

    @property
    def folder(self) -> Path:
        return CLIENTS / self.name

    def missing_tools(self) -> list[str]:
        return [tool for tool in self.tools if shutil.which(tool, path=tools_path()) is None]


LANGUAGES = (
    Language(
        "python",
        (),
        ((sys.executable, "-m", "venv", "build/venv"), ("build/venv/bin/pip", "install", "--quiet", ".")),
        ("build/venv/bin/python", "program.py"),
    ),
    Language(
        "go",
        ("go", "protoc"),
        (("go", "generate", "./..."), ("go", "build", "-o", "build/program", ".")),
        ("build/program",),
    ),
    Language(
        "typescript",
        ("node", "npm"),
        (("npm", "install", "--silent", "--no-package-lock"), ("npm", "run", "--silent", "build")),
        ("node", "build/program.js"),
    ),
    Language("java", ("java", "mvn"), (("mvn", "-q", "-B", "package"),), ("java", "-jar", "target/program.jar")),
    Language("rust", ("cargo", "protoc"), (("cargo", "build", "--release", "--quiet"),), ("target/release/program",)),
    Language(
        "cpp",
        ("cmake", "g++", "pkg-config", "protoc", "grpc_cpp_plugin"),
        (
            ("cmake", "-S", ".", "-B", "build", "-DCMAKE_BUILD_TYPE=Release"),
            ("cmake", "--build", "build", "--parallel", "2"),
        ),
        ("build/program",),
    ),
)
