"""The command that measures a model: evaluate."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from argosy_cli.ask_commands import AsJson, Router, Timeout
from argosy_cli.errors import CliError, misuse
from argosy_cli.programs import DEFAULT_ROUTER


def evaluate(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A .csv, a folder of images a class, or an .npz.")],
    *,
    target: Annotated[str, typer.Option(metavar="NAME", help="The column or array of right answers.")] = "",
    version: Annotated[str, typer.Option(help="The model's version; the default one where none is named.")] = "",
    models_dir: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Serve it from this folder, for as long as it takes.")
    ] = None,
    plots: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Draw confusion matrix and calibration curve as PNG.")
    ] = None,
    router: Router = DEFAULT_ROUTER,
    timeout: Timeout = 30.0,
    json_output: AsJson = False,
) -> None:
    """Ask a model about data whose answers are known, and measure it.

    A classifier: accuracy, precision, recall, F1, ROC AUC, the confusion matrix. Numbers: MSE, MAE, R².

    \b
    Examples:
      argosy evaluate income people.csv --target income
      argosy evaluate digits photos/ --plots pictures
      argosy evaluate sentiment sentences.csv --models-dir models --version 2
    """
    missing = [name for name in ("sklearn", "matplotlib") if find_spec(name) is None]
    if missing:
        raise CliError(f"evaluating needs {', '.join(missing)}: pip install 'argosy[export]'")
    from argosy_cli import evaluate as program
    from argosy_cli.client import connect
    from argosy_cli.console import make_console
    from argosy_cli.one_service import with_version

    def ask(address: str) -> program.Evaluation:
        with connect(address, timeout) as fleet:
            return program.evaluate(fleet, model, version, data, target)

    if plots is not None:
        _make_folder(plots)
    found = ask(router) if models_dir is None else with_version(models_dir, model, version, ask)
    console = make_console()
    if json_output:
        console.print_json(program.document(found))
    else:
        program.show(found, console)
    for path in program.draw(found, plots) if plots is not None else ():
        print(f"drawn: {path}", file=sys.stderr if json_output else sys.stdout)


def _make_folder(plots: Path) -> None:
    """Before the model is asked about everything. Raises CliError."""
    try:
        plots.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise misuse(f"--plots {plots}: {error.strerror}") from None
