"""Figures as JSON and as README's table."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.figures import CaseFigures, Figures, Raw, Row, StartUp, merged, read, write
from bench.markdown import table

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")


def row(contender: str, requests_per_s: float, wrong: int = 0) -> Row:
    return Row(contender, "1 in flight", requests_per_s, 0.25, 12.34, 123.4, 0.0, 1.0, 0.0, 0.0, 0.0, wrong, 0)


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


def test_the_readme_has_the_head_of_the_table() -> None:
    head, rule, *_ = table(figures(row("native", 1.0))).splitlines()
    assert f"\n{head}\n{rule}\n" in README


def test_at_a_fixed_rate_the_ratio_is_of_latencies() -> None:
    open_loop = [
        replace(row(contender, 500.0), rate_per_s=500.0, p50_ms=p50_ms)
        for contender, p50_ms in (("native", 0.5), ("Triton", 2.0))
    ]
    assert "| 4.0 |" in table(figures(*open_loop))


def test_a_case_that_is_measured_anew_replaces_the_older_figures() -> None:
    older, newer = figures(row("native", 1.0)), figures(row("native", 2.0))
    other = replace(older.cases[0], case="income")
    both = merged(replace(older, cases=(other, *older.cases)), newer)
    assert both.cases == (other, *newer.cases)


def test_wrong_answers_are_faults() -> None:
    assert figures(row("native", 1.0, wrong=2)).faults == 2


def test_the_share_of_onnx_runtime_alone_leaves_preprocessing_out() -> None:
    measured = replace(row("native", 25.0), preprocess_us=20_000)
    case = figures(measured).cases[0]
    assert case.of_alone(measured) == pytest.approx(0.5)
    assert case.of_alone_beside_preprocessing(measured) == pytest.approx(1.0)


def test_the_fastest_batch_is_what_there_is_to_lose() -> None:
    assert figures().cases[0].fastest_raw.rows == 8
