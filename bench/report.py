"""The figures of one run: as a table for a person, as JSON for a comparison."""

import json
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Raw:
    """ONNX Runtime alone at one batch size; CPU time is microseconds a row."""

    rows_per_s: float
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Row:
    """One way at one number in flight. CPU times are of all threads, microseconds a request."""

    case: str
    way: str
    in_flight: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    service_cpu_us: float
    envoy_cpu_us: float
    load_cpu_us: float
    raw: dict[str, Raw]
    errors: int


@dataclass(frozen=True, slots=True)
class StartUp:
    """A service with one small model, from its start to ready."""

    seconds: float
    rss_bytes: int
    threads: int
    descriptors: int


@dataclass(frozen=True, slots=True)
class Figures:
    """All of a run. `shared_cpu`: service and load had one CPU between them."""

    shared_cpu: bool
    start_up: StartUp
    rows: list[Row]


def show(figures: Figures) -> None:
    """Requests/s also as a share of ONNX Runtime's rows/s alone and of straight; CPU time also in that of a row alone.

    CPU times hold on a machine that does something else as well, rates do not.
    """
    console = Console(width=150)
    for case in dict.fromkeys(row.case for row in figures.rows):
        console.print(_table(case, [row for row in figures.rows if row.case == case]))
    start = figures.start_up
    console.print(
        f"a service with one small model (diabetes) is ready after {start.seconds:.2f} s and holds "
        f"{start.rss_bytes / 1e6:.0f} MB, {start.threads} threads, {start.descriptors} descriptors"
    )
    console.print(_limits(figures))


def write(figures: Figures, path: Path) -> None:
    """The same with what it was measured on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    machine = {
        "cpu": platform.processor() or platform.machine(),
        "cpus": psutil.cpu_count(),
        "python": platform.python_version(),
        "onnxruntime": version("onnxruntime"),
        "grpcio": version("grpcio"),
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path.write_text(json.dumps({"machine": machine, **asdict(figures)}, indent=2) + "\n", encoding="utf-8")


def _table(case: str, rows: list[Row]) -> Table:
    raw = rows[0].raw
    told = "; ".join(f"batch {batch}: {r.rows_per_s:,.0f} rows/s, {r.cpu_us:,.1f} µs a row" for batch, r in raw.items())
    table = Table(title=f"{case} · ONNX Runtime alone on the same core, {told}", title_justify="left")
    for name in ("in flight", "way", "requests/s", "p50 ms", "p99 ms", "service µs", "Envoy µs", "load µs"):
        table.add_column(name, justify="right")
    for name in (*(f"of alone, batch {batch}" for batch in raw), "× CPU of alone", "of straight"):
        table.add_column(name, justify="right")
    straight = {row.in_flight: row.requests_per_s for row in rows if row.way == "straight"}
    for row in rows:
        table.add_row(
            str(row.in_flight),
            row.way,
            f"{row.requests_per_s:,.0f}",
            f"{row.p50_ms:.2f}",
            f"{row.p99_ms:.2f}",
            f"{row.service_cpu_us:,.0f}",
            f"{row.envoy_cpu_us:,.0f}" if row.way == "routed" else "",
            f"{row.load_cpu_us:,.0f}",
            *(f"{row.requests_per_s / alone.rows_per_s:.1%}" for alone in raw.values()),
            f"{row.service_cpu_us / raw['1'].cpu_us:,.1f}",
            f"{row.requests_per_s / straight[row.in_flight]:.2f}" if row.way == "routed" else "",
        )
    return table


def _limits(figures: Figures) -> str:
    cpus = "one CPU for everything" if figures.shared_cpu else "the service on one CPU, load and router on another"
    errors = sum(row.errors for row in figures.rows)
    return (
        f"{cpus}; the load is one process that writes HTTP/2 frames made beforehand (its own cost: load µs), over one "
        f"connection up to 32 in flight and four at 128; every answer was checked, {errors} were wrong or missing"
    )
