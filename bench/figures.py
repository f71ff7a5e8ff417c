"""What one run has found: everything that the tables show, and that is kept as JSON."""

import json
from dataclasses import asdict, dataclass, replace
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

    Preprocessing and computing are clock times by the service's own account, 0 where it gives none. `wrong` answers are
    those that differ from ONNX Runtime's own, `missing` the streams that ended without one.
    """

    contender: str
    load: str
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    server_cpu_us: float
    proxy_cpu_us: float
    load_cpu_us: float
    preprocess_us: float
    compute_us: float
    requests_a_batch: float
    wrong: int
    missing: int
    rate_per_s: float | None = None  # of an open loop


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

    def of_alone(self, row: Row) -> float:
        """Requests/s as a share of ONNX Runtime's rows/s alone."""
        return row.requests_per_s / self.fastest_raw.rows_per_s

    def of_alone_beside_preprocessing(self, row: Row) -> float:
        """The same, with preprocessing taken out: the time that it takes where nothing else wants the CPU."""
        unhurried = next(other for other in self.rows if other.contender == row.contender)
        between_s = 1 / row.requests_per_s - unhurried.preprocess_us / 1e6
        return 1 / (between_s * self.fastest_raw.rows_per_s)


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


def merged(older: Figures, newer: Figures) -> Figures:
    """The newer run, with the cases that only the older one has measured before its own."""
    measured = {case.case for case in newer.cases}
    kept = tuple(case for case in older.cases if case.case not in measured)
    return replace(newer, cases=kept + newer.cases)


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
