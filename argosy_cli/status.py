"""`argosy status`: is every process up, is it healthy, what has it ready.

Each process is asked itself, not through the router: a fleet whose router is down still shows which services stand.
Health comes from grpc.health.v1, name and version of the server from the Open Inference Protocol, models and front from
the ModelService.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import grpc
from rich.table import Table
from rich.text import Text

from argosy.v1 import model_pb2
from argosy_cli.client import Fleet, connect
from argosy_cli.errors import CliError
from argosy_client import ArgosyError
from argosy_client.methods import LIST_MODELS, SERVER_METADATA
from inference.grpc_service_pb2 import ServerMetadataRequest


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """What one process says of itself; `health` is '' where nothing answers, `front` of a router."""

    name: str
    address: str
    health: str
    server: str = ""
    front: str = ""
    ready_models: int = 0
    known_models: int = 0

    @property
    def serving(self) -> bool:
        return self.health == "SERVING"


def fleet_status(addresses: Mapping[str, str], timeout_s: float) -> list[ProcessStatus]:
    """Ask each process, in order: name -> host:port."""
    return [_process_status(name, address, timeout_s) for name, address in addresses.items()]


def status_table(processes: list[ProcessStatus]) -> Table:
    """One line a process."""
    table = Table("process")
    for column in ("address", "health", "server", "front", "models ready"):
        table.add_column(column, no_wrap=True)
    for process in processes:
        style = "green" if process.serving else "red"
        health = process.health or "not running"
        models = f"{process.ready_models} of {process.known_models}" if process.health else ""
        table.add_row(process.name, process.address, Text(health, style), process.server, process.front, models)
    return table


def _process_status(name: str, address: str, timeout_s: float) -> ProcessStatus:
    with connect(address, timeout_s) as process:
        health = _health(process)
        if not health:
            return ProcessStatus(name, address, "")
        try:
            listed = process.call(LIST_MODELS, model_pb2.ListModelsRequest()).message
        except CliError:
            # It answers health but not this: what it has ready is unknown, which the table shows as none.
            listed = model_pb2.ListModelsResponse()
        ready = sum(status.state == model_pb2.MODEL_STATE_READY for status in listed.models)
        return ProcessStatus(name, address, health, _server(process), listed.front, ready, len(listed.models))


def _health(process: Fleet) -> str:
    try:
        return process.client.health()
    except ArgosyError as error:
        return "" if error.status is grpc.StatusCode.UNAVAILABLE else error.status.name


def _server(process: Fleet) -> str:
    try:
        metadata = process.call(SERVER_METADATA, ServerMetadataRequest()).message
    except CliError:
        return ""
    return f"{metadata.name} {metadata.version}"
