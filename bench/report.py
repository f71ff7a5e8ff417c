"""The figures of a run as tables for a person who sits before a terminal."""

from rich.console import Console
from rich.table import Table

from bench.contenders import NATIVE_FRONT, TRITON
from bench.figures import CaseFigures, Figures, Row

TIMES = ("p50 ms", "p99 ms", "server µs", "proxy µs", "load µs", "prep. µs", "compute µs")
COLUMNS = ("load", "server", "requests/s", *TIMES, "batch", "× Triton", "of alone", "less prep.")


def show(figures: Figures) -> None:
    """A table a case, one line a server and load; what was left out, and why; what the load itself can do."""
    console = Console(width=170)
    for case in figures.cases:
        console.print(_table(case))
        for name, why in case.left_out.items():
            console.print(f"  not measured: {name}: {why}", markup=False)
    if figures.echo:
        console.print(_echo_table(figures))
    for start in figures.start_up:
        console.print(
            f"a service with one small model, {start.front} front: ready after {start.seconds:.2f} s, holds "
            f"{start.rss_bytes / 1e6:.0f} MB, {start.threads} threads, {start.descriptors} descriptors"
        )
    cpus = "one CPU for everything" if figures.shared_cpu else "the server on one CPU, load and router on another"
    console.print(f"{cpus}; load by {figures.generator}; every answer was compared, {figures.faults} wrong or missing")


def _table(case: CaseFigures) -> Table:
    alone = "; ".join(f"batch {r.rows}: {r.rows_per_s:,.0f} rows/s, {r.cpu_us:,.1f} µs a row" for r in case.raw)
    table = Table(title=f"{case.case} · ONNX Runtime alone on the same CPU, {alone}")
    table.title_justify = "left"
    for name in COLUMNS:
        table.add_column(name, justify="right" if name not in ("load", "server") else "left")
    for load in case.loads:
        rows = [row for row in case.rows if row.load == load]
        for place, row in enumerate(rows):
            table.add_row(load if place == 0 else "", *_cells(row, case), end_section=place == len(rows) - 1)
    return table


def _cells(row: Row, case: CaseFigures) -> tuple[str, ...]:
    triton = case.row(TRITON.name, row.load)
    return (
        row.contender,
        *_figures(row),
        f"{row.requests_per_s / triton.requests_per_s:.2f}" if triton else "",
        f"{case.of_alone(row):.1%}",
        f"{case.of_alone_beside_preprocessing(row):.1%}" if row.preprocess_us else "",
    )


def _figures(row: Row) -> tuple[str, ...]:
    return (
        f"{row.requests_per_s:,.0f}",
        f"{row.p50_ms:.2f}",
        f"{row.p99_ms:.2f}",
        f"{row.server_cpu_us:,.1f}",
        _figure(row.proxy_cpu_us),
        f"{row.load_cpu_us:,.1f}",
        *(_figure(value) for value in (row.preprocess_us, row.compute_us, row.requests_a_batch)),
    )


def _figure(value: float) -> str:
    return f"{value:,.1f}" if value else ""


def _echo_table(figures: Figures) -> Table:
    """Beside the fastest contender's rate: how far the load is from being what is measured."""
    table = Table(title="the load against an echo: the most that it can ask", title_justify="left")
    for name in ("load", "requests/s", "p50 ms", "p99 ms", "echo µs", "load µs", "× native front"):
        table.add_column(name, justify="left" if name == "load" else "right")
    for row in figures.echo:
        rate, p50, p99, server, _, load, *_ = _figures(row)
        native = figures.cases[0].row(NATIVE_FRONT.name, row.load) if figures.cases else None
        times = f"{row.requests_per_s / native.requests_per_s:.1f}" if native else ""
        table.add_row(row.load, rate, p50, p99, server, load, times)
    return table
