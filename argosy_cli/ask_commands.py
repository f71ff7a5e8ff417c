"""The commands that ask a running fleet: predict, models, status."""

from typing import Annotated

import typer

from argosy_cli.errors import CliError
from argosy_cli.programs import DEFAULT_ROUTER, SERVICES, default_listening

Router = Annotated[
    str,
    typer.Option(metavar="HOST:PORT", envvar="ARGOSY_ROUTER", help="The router, or a service straight."),
]
Timeout = Annotated[float, typer.Option(metavar="SECONDS", min=0.001, max=86_400, help="The deadline of each call.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program instead of a table.")]

_UINT32 = 2**32 - 1

models = typer.Typer(invoke_without_command=True)


def predict(
    model: Annotated[str, typer.Argument(help="The model's name: `argosy models` lists them.")],
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT…", help="Image files; texts, or @FILE of one a line; JSON rows; .csv or .json."),
    ],
    *,
    task: Annotated[
        str, typer.Option(help="classify, embed, detect, tag or predict, where the model does more than one.")
    ] = "",
    version: Annotated[str, typer.Option(help="The model's version; the default one where none is named.")] = "",
    top: Annotated[
        int, typer.Option(min=0, max=_UINT32, help="How many classes to show an input; 0 leaves it to the service.")
    ] = 0,
    min_score: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Leave out objects scored lower; default: the model's own.")
    ] = None,
    router: Router = DEFAULT_ROUTER,
    timeout: Timeout = 30.0,
    json_output: AsJson = False,
) -> None:
    """Ask a model about images, texts or table rows.

    `-` reads standard input. Inputs are sent as they are: preprocessing is the model's.

    \b
    Examples:
      argosy predict digits seven.png
      argosy predict mobilenet photo.jpg --top 3
      argosy predict mobilenet photo.jpg --task embed --json
      argosy predict sentiment "I would watch it again." "A waste of time."
      argosy predict income people.csv
    """
    from argosy_cli.client import connect
    from argosy_cli.console import make_console
    from argosy_cli.predict import predict as run
    from argosy_cli.questions import Question

    question = Question(model, version, top_k=top, min_score=min_score)
    with connect(router, timeout) as fleet:
        run(fleet, question, task, inputs, make_console(), json_output=json_output)


@models.callback()
def list_models(
    context: typer.Context, router: Router = DEFAULT_ROUTER, timeout: Timeout = 10.0, json_output: AsJson = False
) -> None:
    """List the models of the fleet, or show one.

    \b
    Examples:
      argosy models
      argosy models --json
      argosy models show digits
    """
    if context.invoked_subcommand is not None:
        return
    from argosy_cli.client import connect
    from argosy_cli.console import make_console
    from argosy_cli.models import print_models

    with connect(router, timeout) as fleet:
        print_models(fleet, make_console(), json_output=json_output)


@models.command("show")
def show_model(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The model's name.")],
    version: Annotated[str, typer.Option(help="The model's version; the default one where none is named.")] = "",
    router: Router = DEFAULT_ROUTER,
    timeout: Timeout = 10.0,
    json_output: AsJson = False,
) -> None:
    """Show what a model is.

    What it reads and answers, where it comes from, how good it is and how its graph was proven.

    \b
    Example:
      argosy models show income
    """
    from argosy_cli.client import connect
    from argosy_cli.console import make_console
    from argosy_cli.models import print_manifest

    with connect(router, timeout) as fleet:
        print_manifest(fleet, name, version, make_console(), json_output=json_output)


def status(
    router: Router = DEFAULT_ROUTER,
    vision: Annotated[str, typer.Option(metavar="HOST:PORT")] = default_listening("vision").address,
    text: Annotated[str, typer.Option(metavar="HOST:PORT")] = default_listening("text").address,
    tabular: Annotated[str, typer.Option(metavar="HOST:PORT")] = default_listening("tabular").address,
    timeout: Timeout = 2.0,
) -> None:
    """Show the health of every process of a local fleet.

    Each is asked itself: what it is, and how many models it has ready.

    The exit code is 1 where one of them does not serve.

    \b
    Example:
      argosy status
    """
    from argosy_cli.console import make_console
    from argosy_cli.status import fleet_status, status_table

    addresses = {"router": router, **dict(zip(SERVICES, (vision, text, tabular), strict=True))}
    processes = fleet_status(addresses, timeout)
    make_console().print(status_table(processes))
    if not any(process.health for process in processes):
        raise CliError(f"no fleet at {router}: start one with `argosy up`")
    if not all(process.serving for process in processes):
        raise CliError("not every process serves")
