"""The figures of a run as README's table: Argosy's own in numbers, the peers as ratios within the same run."""

from bench.contenders import (
    GRPCIO,
    MLSERVER,
    NATIVE_FRONT,
    NATIVE_ROUTED,
    PORTABLE_FRONT,
    PORTABLE_ROUTED,
    TRITON,
)
from bench.figures import CaseFigures, Figures, Row

PEERS = (TRITON, MLSERVER, GRPCIO)
HEAD = (
    "model",
    "load",
    "native: requests/s",
    "p50 / p99 ms",
    "CPU µs",
    *(f"× {peer.name}" for peer in PEERS),
    *(f"{way}: requests/s" for way in ("native routed", "portable", "portable routed")),
)


def table(figures: Figures) -> str:
    """Markdown, a line a case and load. A peer that was not measured under a load has a dash."""
    lines = ["| " + " | ".join(HEAD) + " |", "|---|---|" + "---|" * (len(HEAD) - 2)]
    for case in figures.cases:
        lines += [
            "| " + " | ".join((case.case if place == 0 else "", *_cells(case, load))) + " |"
            for place, load in enumerate(case.loads)
        ]
    return "\n".join(lines)


def _cells(case: CaseFigures, load: str) -> tuple[str, ...]:
    native = case.row(NATIVE_FRONT.name, load)
    return (
        load,
        _rate(native),
        f"{_short(native.p50_ms)} / {_short(native.p99_ms)}" if native else "–",
        _short(native.server_cpu_us) if native else "–",
        *(_times(native, case.row(peer.name, load)) for peer in PEERS),
        *(_rate(case.row(other.name, load)) for other in (NATIVE_ROUTED, PORTABLE_FRONT, PORTABLE_ROUTED)),
    )


def _rate(row: Row | None) -> str:
    return f"{row.requests_per_s:,.0f}" if row else "–"


def _times(own: Row | None, peer: Row | None) -> str:
    """How many times faster: by the rate of a closed loop, by the median latency of an open one."""
    if own is None or peer is None or not peer.requests_per_s:
        return "–"
    times = own.requests_per_s / peer.requests_per_s if own.rate_per_s is None else peer.p50_ms / own.p50_ms
    return f"{times:.{1 if times >= 2 else 2}f}"


def _short(value: float) -> str:
    """Three figures."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
