"""`argosy status`: is every process up, is it healthy, what has it ready.

Each process is asked itself, not through the router: a fleet whose router is down still shows which services stand.
Health comes from grpc.health.v1, name and version of the server from the Open Inference Protocol.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2
from rich.table import Table
from rich.text import Text

from argosy.v1 import model_pb2
from argosy_cli.client import Fleet, connect
from argosy_cli.errors import CliError
from inference import grpc_service_pb2, grpc_service_pb2_grpc


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """What one process says of itself; `health` is '' where nothing answers."""

    name: str
    address: str
    health: str
    server: str = ""
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
    for column in ("address", "health", "server", "models ready"):
        table.add_column(column, no_wrap=True)
    for process in processes:
        style = "green" if process.serving else "red"
        health = process.health or "not running"
        models = f"{process.ready_models} of {process.known_models}" if process.health else ""
        table.add_row(process.name, process.address, Text(health, style), process.server, models)
    return table


def _process_status(name: str, address: str, timeout_s: float) -> ProcessStatus:
    with connect(address, timeout_s) as process:
        health = _health(process)
        if not health:
            return ProcessStatus(name, address, "")
        try:
            statuses = process.statuses()
        except CliError:
            # It answers health but not this: what it has ready is unknown, which the table shows as none.
            statuses = []
        ready = sum(status.state == model_pb2.MODEL_STATE_READY for status in statuses)
        return ProcessStatus(name, address, health, _server(process), ready, len(statuses))


def _health(process: Fleet) -> str:
    check = process.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    try:
        response = check(health_pb2.HealthCheckRequest(), timeout=process.timeout_s)
    except grpc.RpcError as error:
        code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
        return "" if code is grpc.StatusCode.UNAVAILABLE else code.name
    return health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)


def _server(process: Fleet) -> str:
    stub = grpc_service_pb2_grpc.GRPCInferenceServiceStub(process.channel)
    try:
        metadata = process.call(stub.ServerMetadata, grpc_service_pb2.ServerMetadataRequest()).message
    except CliError:
        return ""
    return f"{metadata.name} {metadata.version}"
