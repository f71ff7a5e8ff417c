"""Everything that is measured side by side: Argosy's services with either front, straight and routed, and the peers.

A contender starts for one case at a time, on the server's CPU; a router, which is no part of a service, runs where the
load does. It counts as started once it has answered every message of the case rightly: what is wrong is never timed.
"""

import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil

from bench.cases import Case
from bench.machine import Cpus, pinned
from bench.peers import mlserver, triton
from bench.peers.install import PeerUnavailableError
from services.runtime.fronts import FRONTS, NATIVE, PORTABLE
from tests.e2e.calls import call
from tests.e2e.conftest import ready_versions, wait_until_routed
from tests.e2e.harness import Processes, Server, ServerProcess

START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Running:
    """A contender that answers at `address`; `pid` is of the server and, with its children, what it costs."""

    address: str
    channel: grpc.Channel
    pid: int
    proxy_pid: int | None = None
    tells_stages: bool = False


Start = Callable[[Processes, Case, Cpus, Path], Running]
"""Its files go into the folder. Raises PeerUnavailableError, AssertionError or grpc.RpcError."""


@dataclass(frozen=True, slots=True)
class Contender:
    """`is_argosy`: it reads the fleet's own messages, not only tensors. `routed`: through Envoy."""

    name: str
    start: Start
    is_argosy: bool = False
    routed: bool = False


def checked(running: Running, case: Case) -> None:
    """Ask each message once as a client does. Raises AssertionError where an answer is not right."""
    for number, message in enumerate(case.requests.messages):
        reply = call(running.channel, case.requests.method, message, timeout_s=START_TIMEOUT_S)
        complaint = case.complaint(number, reply)
        assert not complaint, f"message {number}: {complaint}"


def started(contender: Contender, processes: Processes, case: Case, cpus: Cpus, folder: Path) -> Running:
    """A contender that has answered every message rightly. Raises PeerUnavailableError that says why it has not."""
    if not (case.is_tensors or contender.is_argosy):
        raise PeerUnavailableError("it reads tensors only")
    try:
        running = contender.start(processes, case, cpus, folder)
        checked(running, case)
    except AssertionError as error:
        raise PeerUnavailableError(_first_line(str(error))) from error
    except grpc.RpcError as error:
        raise PeerUnavailableError(_first_line(str(error.details()))) from error
    return running


# ---- Argosy


def argosy(front: str) -> Start:
    """A service with that front, straight."""

    def start(processes: Processes, case: Case, cpus: Cpus, _: Path) -> Running:
        server = service(front, processes, case, cpus)
        return Running(server.address, server.channel, server.process.pid, tells_stages=True)

    return start


def routed(front: str) -> Start:
    """The same behind the router: Envoy has one worker, on the load's CPU."""

    def start(processes: Processes, case: Case, cpus: Cpus, folder: Path) -> Running:
        server = service(front, processes, case, cpus)
        router = processes.router(folder, {case.kind: [server.address]}, worker_threads=1)
        wait_until_routed(router, ready_versions(server.channel))
        return Running(router.address, router.channel, server.process.pid, _envoy_of(router))

    return start


def service(front: str, processes: Processes, case: Case, cpus: Cpus) -> Server:
    if front not in FRONTS:
        raise PeerUnavailableError("the native front is not installed here: make front")
    with pinned(cpus.server):
        return processes.service(case.kind, case.models_dir, "--model", case.model, "--front", front)


def _envoy_of(router: Server) -> int:
    children = psutil.Process(router.process.pid).children(recursive=True)
    return next(int(child.pid) for child in children if "envoy" in child.name())


# ---- peers


def start_grpcio(processes: Processes, case: Case, cpus: Cpus, _: Path) -> Running:
    with pinned(cpus.server):
        server = processes.serve(
            "grpcio", [sys.executable, "-m", "bench.peers.grpcio_server", str(case.graph)], loaded=False
        )
    return Running(server.address, server.channel, server.process.pid)


def start_triton(processes: Processes, case: Case, cpus: Cpus, folder: Path) -> Running:
    """It listens once its model is there."""
    port = _free_port()
    with pinned(cpus.server):
        process = processes.run("Triton", triton.command(case, port, folder))
    return _listening(processes, process, port)


def start_mlserver(processes: Processes, case: Case, cpus: Cpus, folder: Path) -> Running:
    port = _free_port()
    with pinned(cpus.server):
        process = processes.run("MLServer", mlserver.command(case, port, _free_port(), folder))
    process.wait_for(mlserver.loaded_event(case.model), START_TIMEOUT_S)
    return _listening(processes, process, port)


def _listening(processes: Processes, process: ServerProcess, port: int) -> Running:
    """A peer that does not say its port, for it was told which."""
    channel = processes.channel(f"127.0.0.1:{port}")
    try:
        grpc.channel_ready_future(channel).result(START_TIMEOUT_S)
    except grpc.FutureTimeoutError:
        last_line = process.log.strip().rpartition("\n")[2]
        raise PeerUnavailableError(f"it did not listen within {START_TIMEOUT_S:.0f} s: {last_line}") from None
    return Running(f"127.0.0.1:{port}", channel, process.pid)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "no reason was given")[:200]


NATIVE_FRONT = Contender("native", argosy(NATIVE), is_argosy=True)
PORTABLE_FRONT = Contender("portable", argosy(PORTABLE), is_argosy=True)
NATIVE_ROUTED = Contender("native, routed", routed(NATIVE), is_argosy=True, routed=True)
PORTABLE_ROUTED = Contender("portable, routed", routed(PORTABLE), is_argosy=True, routed=True)
TRITON = Contender("Triton", start_triton)
MLSERVER = Contender("MLServer", start_mlserver)
GRPCIO = Contender("grpcio", start_grpcio)
CONTENDERS = (NATIVE_FRONT, PORTABLE_FRONT, NATIVE_ROUTED, PORTABLE_ROUTED, TRITON, MLSERVER, GRPCIO)
