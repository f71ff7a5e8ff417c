"""What one run has found: everything that the tables show, and that is kept as JSON."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Raw:
    """ONNX Runtime alone at one batch size, one thread; CPU time is microseconds a row."""

    rows: int
    rows_per_s: float
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Row:
    """One contender under one load. CPU times are of all processes and threads, microseconds a request.

    `wrong` answers are those that differ from ONNX Runtime's own, `missing` the streams that ended without one.
    """

    contender: str
    load: str
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    server_cpu_us: float
    proxy_cpu_us: float
    load_cpu_us: float
    wrong: int
    missing: int


@dataclass(frozen=True, slots=True)
class CaseFigures:
    """All of one case. `left_out` are the contenders that were not measured, with the reason."""

    case: str
    raw: tuple[Raw, ...]
    rows: tuple[Row, ...]
    left_out: dict[str, str]

    def row(self, contender: str, load: str) -> Row | None:
        return next((row for row in self.rows if (row.contender, row.load) == (contender, load)), None)

    @property
    def loads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.load for row in self.rows))

    @property
    def fastest_raw(self) -> Raw:
        return max(self.raw, key=lambda raw: raw.rows_per_s)


@dataclass(frozen=True, slots=True)
class StartUp:
    """A service with one small model, from its start to ready."""

    front: str
    seconds: float
    rss_bytes: int
    threads: int
    descriptors: int


@dataclass(frozen=True, slots=True)
class Figures:
    """All of a run. `shared_cpu`: server and load had one CPU between them; `echo`: the load against no work."""

    machine: dict[str, str]
    shared_cpu: bool
    generator: str
    echo: tuple[Row, ...]
    start_up: tuple[StartUp, ...]
    cases: tuple[CaseFigures, ...]

    @property
    def faults(self) -> int:
        return sum(row.wrong + row.missing for case in self.cases for row in case.rows)


def write(figures: Figures, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(figures), indent=2) + "\n", encoding="utf-8")


def read(path: Path) -> Figures:
    """What `write` wrote."""
    found = json.loads(path.read_text(encoding="utf-8"))
    cases = tuple(
        CaseFigures(
            case["case"],
            tuple(Raw(**raw) for raw in case["raw"]),
            tuple(Row(**row) for row in case["rows"]),
            case["left_out"],
        )
        for case in found["cases"]
    )
    return Figures(
        found["machine"],
        found["shared_cpu"],
        found["generator"],
        tuple(Row(**row) for row in found["echo"]),
        tuple(StartUp(**start) for start in found["start_up"]),
        cases,
    )
