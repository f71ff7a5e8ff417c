"""Load of one kind, sent by the program in `load/` where cargo is, and by Python where it is not.

The program costs a request about a microsecond, Python eleven: with Python a fast server is measured as slower than it
is, so the output says which it was. Either hands back every different answer once; the caller judges them.
"""

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.http2_load import INITIAL_WINDOW, Call, run_load
from tests.e2e.harness import ROOT

CRATE = Path(__file__).parent / "load"
TARGET = ROOT / ".cache" / "load-target"
GRPC_HEAD = 5
BUILD_TIMEOUT_S, RUN_TIMEOUT_S = 900, 300


@dataclass(frozen=True, slots=True)
class Load:
    """`in_flight` requests at a time or, where `rate_per_s` is given, that many a second whatever becomes of them."""

    in_flight: int
    connections: int
    rate_per_s: float | None = None
    # What a router adds shows under a few loads as well as under all.
    is_routed_too: bool = False

    @property
    def name(self) -> str:
        if self.rate_per_s is not None:
            return f"{self.rate_per_s:,.0f} a second"
        over = "" if self.connections == 1 else f", {self.connections} connections"
        return f"{self.in_flight} in flight{over}"


@dataclass(frozen=True, slots=True)
class Requests:
    """What is asked: the messages take turns."""

    method: str
    messages: tuple[bytes, ...]
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """Latencies in the order of the answers; `ways` are the different answers as (message, answer, how often)."""

    elapsed_s: float
    latencies_s: NDArray[np.float64]
    errors: int
    ways: tuple[tuple[int, bytes, int], ...]

    @property
    def requests_per_s(self) -> float:
        return len(self.latencies_s) / self.elapsed_s


@dataclass(frozen=True, slots=True)
class Generator:
    """What sends: `run(address, requests, load, count)` raises OSError where a server is lost.

    `is_full` says that it also knows the open loop, and messages larger than one stream's window.
    """

    name: str
    run: Callable[[str, Requests, Load, int], Answered]
    is_full: bool = False
    echo: Path | None = None

    def can_send(self, requests: Requests, load: Load) -> bool:
        fits = all(len(message) + GRPC_HEAD <= INITIAL_WINDOW for message in requests.messages)
        return self.is_full or (load.rate_per_s is None and fits)


def generator() -> Generator:
    """The program, built where it is not, or Python where it cannot be."""
    if shutil.which("cargo") is None:
        return python_generator("there is no cargo here")
    command = ["cargo", "build", "--release", "--quiet", "--manifest-path", str(CRATE / "Cargo.toml")]
    built = subprocess.run(
        [*command, "--target-dir", str(TARGET)], capture_output=True, text=True, check=False, timeout=BUILD_TIMEOUT_S
    )
    if built.returncode != 0:
        told = (built.stderr.strip() or "cargo says nothing").splitlines()[-1]
        return python_generator(f"the program was not built: {told}")
    program = TARGET / "release" / "argosy-load"
    return Generator("argosy-load (Rust)", _program_runner(program), True, program.with_name("argosy-echo"))


def python_generator(why: str) -> Generator:
    """The one that is always there."""
    return Generator(f"Python ({why})", _run_python)


def _program_runner(program: Path) -> Callable[[str, Requests, Load, int], Answered]:
    def run(address: str, requests: Requests, load: Load, count: int) -> Answered:
        with tempfile.TemporaryDirectory() as folder:
            arguments = _arguments(address, requests, load, count, Path(folder))
            done = subprocess.run([str(program), *arguments], capture_output=True, check=False, timeout=RUN_TIMEOUT_S)
        if done.returncode != 0:
            raise OSError(done.stderr.decode(errors="replace").strip())
        return _parse(done.stdout)

    return run


def _arguments(address: str, requests: Requests, load: Load, count: int, folder: Path) -> list[str]:
    arguments = ["--address", address, "--path", requests.method, "--count", str(count)]
    arguments += ["--connections", str(load.connections), "--in-flight", str(load.in_flight)]
    if load.rate_per_s is not None:
        arguments += ["--rate", str(load.rate_per_s)]
    for name, value in requests.metadata:
        arguments += ["--metadata", f"{name}={value}"]
    for number, message in enumerate(requests.messages):
        path = folder / str(number)
        path.write_bytes(message)
        arguments += ["--message", str(path)]
    return arguments


def _parse(output: bytes) -> Answered:
    """As `load/src/report.rs` writes it."""
    elapsed_ns, errors, count = struct.unpack_from("<QQQ", output)
    position = 24 + 8 * count
    ways = []
    while position < len(output):
        message, often, length = struct.unpack_from("<IQI", output, position)
        ways.append((message, output[position + 16 : position + 16 + length], often))
        position += 16 + length
    latencies_s = np.frombuffer(output, "<u8", count, 24) / 1e9
    return Answered(elapsed_ns / 1e9, latencies_s, errors, tuple(ways))


def _run_python(address: str, requests: Requests, load: Load, count: int) -> Answered:
    """One message only, and no open loop: what the fallback knows."""
    seen: dict[bytes, int] = {}

    def keep(answer: bytes) -> bool:
        seen[answer] = seen.get(answer, 0) + 1
        return True

    call = Call(requests.method, requests.messages[0], dict(requests.metadata), keep)
    answered = run_load(address, call, load.in_flight, load.connections, count)
    ways = tuple((0, answer, often) for answer, often in seen.items())
    return Answered(answered.elapsed_s, np.array(answered.latencies_s), answered.errors, ways)
