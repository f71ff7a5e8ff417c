"""`python -m training`: train, evaluate, export and publish the reference models."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from exporter.manifest import MANIFEST_FILE, from_yaml
from training.catalog import REFERENCE_MODELS
from training.runner import JOBS, Folders, Outcome, bring_up_to_date

# Columns of output that goes into a file, so that the table's cells are not broken.
_LOG_WIDTH = 140


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Exit status: 0 when every model asked for is published, 1 when one failed, 2 for a wrong command line."""
    options = _parse(arguments)
    console = Console(width=None if sys.stdout.isatty() else _LOG_WIDTH)
    folders = Folders(options.models_dir, options.cache_dir)
    names = list(dict.fromkeys(options.names)) or list(REFERENCE_MODELS)
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
    ) as progress:
        show = _Screen(progress).show if console.is_terminal else partial(_log, console)
        outcomes = bring_up_to_date(names, folders, _child_environment(environment), show)
    console.print(_table(outcomes))
    for outcome in outcomes:
        if outcome.failure:
            console.print(f"[red]{outcome.name}:[/red] {outcome.failure}", highlight=False, soft_wrap=True)
    return 1 if any(outcome.failure for outcome in outcomes) else 0


class _Screen:
    """One line a model that is being trained: what it is doing, and for how long."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lines: dict[str, TaskID] = {}

    def show(self, name: str, doing: str) -> None:
        if not doing:
            if name in self._lines:
                self._progress.stop_task(self._lines[name])
                self._progress.update(self._lines[name], visible=False)
        elif name not in self._lines:
            self._lines[name] = self._progress.add_task(f"{name}: {doing}", total=None)
        else:
            self._progress.update(self._lines[name], description=f"{name}: {doing}")


def _log(console: Console, name: str, doing: str) -> None:
    """Where nothing can be redrawn, a line for every step."""
    console.print(f"{name}: {doing or 'done'}", highlight=False)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m training",
        description="Train the reference models on real data, evaluate them, export them to ONNX, prove each graph"
        " equal to its source and publish it. A model whose sources have not changed since then is left alone.",
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"all, or of: {', '.join(REFERENCE_MODELS)}",
    )
    parser.add_argument("--models-dir", type=Path, default=Path("models"), help="where models are published (models)")
    parser.add_argument("--cache-dir", type=Path, default=Path(".cache"), help="downloads, logs, fingerprints (.cache)")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in REFERENCE_MODELS:
            parser.error(f"there is no reference model '{name}': {', '.join(REFERENCE_MODELS)}")
    return options


def _child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The frameworks share the CPUs: more threads than CPUs wait for each other."""
    threads = str(max(1, len(os.sched_getaffinity(0)) // JOBS))
    settings = {
        "OMP_NUM_THREADS": threads,
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONHASHSEED": "0",
    }
    return {**environment, **settings}


def _table(outcomes: Sequence[Outcome]) -> Table:
    table = Table("model", "version", "framework", "trained in", "measured", "rows", "off by at most")
    table.columns[0].no_wrap = True
    for outcome in outcomes:
        if outcome.version_dir is None:
            table.add_row(outcome.name, "–", "–", f"{outcome.seconds:.0f} s", "[red]failed[/red]", "", "")
            continue
        manifest = from_yaml((outcome.version_dir / MANIFEST_FILE).read_text(encoding="utf-8"))
        measured = [f"{metric.name} {metric.value:.4g}" for metric in manifest.metrics[:1]] or ["–"]
        rows = [str(metric.row_count) for metric in manifest.metrics[:1]] or [""]
        worst = max(output.worst_absolute_error for output in manifest.parity.outputs)
        spent = f"{outcome.seconds:.0f} s" if outcome.trained else "unchanged"
        framework = f"{manifest.source.framework} {manifest.source.framework_version}"
        table.add_row(outcome.name, manifest.version, framework, spent, *measured, *rows, f"{worst:.1e}")
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
