"""The programs of the fleet as command lines: how the CLI starts a service, the router, training or the exporter.

The CLI imports none of them: each runs as `python -m …` in its own process, with this interpreter. Where one program
does all that a command asks for, `replace_process` makes it take the CLI's place: signals and exit codes are its own.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from argosy_cli.errors import CliError

SERVICES = ("vision", "text", "tabular")
ROUTER = "router"
LOOPBACK = "127.0.0.1"
# gRPC and metrics.
DEFAULT_PORTS: Mapping[str, tuple[int, int]] = {
    ROUTER: (8500, 8501),
    "vision": (8510, 8511),
    "text": (8520, 8521),
    "tabular": (8530, 8531),
}
DEFAULT_ROUTER = f"{LOOPBACK}:{DEFAULT_PORTS[ROUTER][0]}"
_EXPORTER_NEEDS = ("onnx", "onnxruntime")
_TRAINING_NEEDS = ("tensorflow", "torch", "sklearn", "tf2onnx", "skl2onnx", "onnxscript")


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a program serves: host:port, port 0 for any that is free."""

    address: str
    metrics_address: str


def default_listening(name: str) -> Listening:
    """The default ports of a service or the router, on the loopback."""
    port, metrics_port = DEFAULT_PORTS[name]
    return Listening(f"{LOOPBACK}:{port}", f"{LOOPBACK}:{metrics_port}")


def service_command(
    service: str,
    *,
    address: str | None,
    metrics_address: str | None,
    models_dir: Path | None,
    models: Sequence[str],
    config: Path | None,
) -> list[str]:
    """The command line of a model service. What is None is left to the program's settings."""
    command = [sys.executable, "-m", f"services.{service}"]
    command += _flag("--address", address) + _flag("--metrics-address", metrics_address)
    command += _flag("--config", config) + _flag("--models-dir", models_dir)
    return command + [part for model in models for part in ("--model", model)]


def router_command(fleet_config: Path, address: str | None, metrics_address: str | None) -> list[str]:
    """The command line of the router. What is None is left to fleet.yaml."""
    command = [sys.executable, "-m", "services.router", *_flag("--config", fleet_config)]
    return command + _flag("--address", address) + _flag("--metrics-address", metrics_address)


def training_command(names: Sequence[str], models_dir: Path, cache_dir: Path) -> list[str]:
    """The command line of training. Raises CliError where its frameworks are not installed."""
    missing = [name for name in _TRAINING_NEEDS if find_spec(name) is None]
    if missing:
        raise CliError(f"training needs {', '.join(missing)}: pip install 'argosy[export]'")
    flags = ["--models-dir", str(models_dir), "--cache-dir", str(cache_dir)]
    return [sys.executable, "-m", "training", *names, *flags]


def exporter_command(arguments: Sequence[str], program: str = "exporter") -> list[str]:
    """The command line of the exporter, or of a program beside it. Raises CliError where it is not installed."""
    missing = [name for name in _EXPORTER_NEEDS if find_spec(name) is None]
    if missing:
        raise CliError(f"this needs {', '.join(missing)}: pip install 'argosy[export]'")
    # -P: no file of the folder that the command is given in is taken for a package.
    return [sys.executable, "-P", "-m", program, *arguments]


def replace_process(command: Sequence[str]) -> NoReturn:
    """Become the program. Output of ours that is still buffered is written first."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], list(command))  # noqa: S606 - the command is built here, from this interpreter


def _flag(name: str, value: Path | str | None) -> list[str]:
    return [] if value is None else [name, str(value)]
