"""Figures as JSON and as README's table."""

from pathlib import Path

from bench.figures import CaseFigures, Figures, Raw, Row, StartUp, read, write
from bench.markdown import table


def row(contender: str, requests_per_s: float, wrong: int = 0) -> Row:
    return Row(contender, "1 in flight", requests_per_s, 0.25, 12.34, 123.4, 0.0, 1.0, wrong, 0)


def figures(*rows: Row) -> Figures:
    case = CaseFigures("mlp", (Raw(1, 10.0, 3.0), Raw(8, 50.0, 1.0)), rows, {"MLServer": "no reason"})
    return Figures({"cpu": "fast"}, False, "Python", (row("echo", 9.0),), (StartUp("native", 1.0, 2, 3, 4),), (case,))


def test_figures_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = figures(row("native", 100.0))
    write(written, tmp_path / "bench" / "bench.json")
    assert read(tmp_path / "bench" / "bench.json") == written


def test_a_peer_is_a_ratio_and_one_that_was_not_measured_a_dash() -> None:
    lines = table(figures(row("native", 1000.0), row("Triton", 125.0))).splitlines()
    assert lines[-1] == "| mlp | 1 in flight | 1,000 | 0.25 / 12.3 | 123 | 8.0 | – | – | – | – | – |"


def test_wrong_answers_are_faults() -> None:
    assert figures(row("native", 1.0, wrong=2)).faults == 2


def test_the_fastest_batch_is_what_there_is_to_lose() -> None:
    assert figures().cases[0].fastest_raw.rows == 8
