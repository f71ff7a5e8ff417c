"""The commands that start programs: serve, route, train, export, up, demo."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from argosy_cli import programs

ModelsDir = Annotated[Path, typer.Option(metavar="FOLDER", help="Where the models are: NAME/VERSION/model.onnx.")]
CacheDir = Annotated[Path, typer.Option(metavar="FOLDER", help="Where downloads and trained weights are kept.")]


class Service(StrEnum):
    """The three kinds of model service."""

    VISION = "vision"
    TEXT = "text"
    TABULAR = "tabular"


def serve(
    context: typer.Context,
    service: Annotated[Service, typer.Argument(help="Which service.")],
    *,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Settings, such as argosy.toml.")] = None,
    address: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="gRPC; port 0 takes a free one.")] = None,
    metrics_address: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Prometheus over HTTP.")] = None,
    models_dir: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where the models are.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="Serve this model only; may be repeated.")] = None,
) -> None:
    """Run one model service: vision, text or tabular.

    It runs in the foreground; SIGTERM drains it. Where a flag is absent, the environment, the settings file and the
    defaults are used, in this order. Behind the service every other setting is a flag too, as
    `python -m services.vision --help` lists them.

    \b
    Examples:
      argosy serve vision --models-dir models --model digits
      argosy serve tabular --front portable --reflection
    """
    command = programs.service_command(
        service.value,
        address=address,
        metrics_address=metrics_address,
        models_dir=models_dir,
        models=model or [],
        config=config,
    )
    programs.replace_process([*command, *context.args])


def route(
    config: Annotated[Path, typer.Option(metavar="FILE", help="fleet.yaml: the services and where they are.")],
    address: Annotated[str | None, typer.Option(metavar="IP:PORT", help="gRPC, for the fleet's callers.")] = None,
    metrics_address: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Prometheus over HTTP.")] = None,
) -> None:
    """Run the router: one address for every model.

    It runs in the foreground; SIGTERM drains it. Where a flag is absent, fleet.yaml decides.

    \b
    Example:
      argosy route --config fleet.yaml
    """
    programs.replace_process(programs.router_command(config, address, metrics_address))


def train(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]…", help="Reference models; none: all.")] = None,
    models_dir: ModelsDir = Path("models"),
    cache_dir: CacheDir = Path(".cache"),
) -> None:
    """Train the reference models on real data and export them.

    Each graph is proven equal to its source before it is written to the models folder. What was done before is
    taken from the cache.

    \b
    Examples:
      argosy train
      argosy train digits income
    """
    programs.replace_process(programs.training_command(names or [], models_dir, cache_dir))


def export(context: typer.Context) -> None:
    """Export a trained model of yours to ONNX.

    It is proven equal to its source and written to the models folder. The arguments are the exporter's:
    `argosy export --help` shows them.
    """
    programs.replace_process(programs.exporter_command(context.args))


def optimise(context: typer.Context) -> None:
    """Make a published version smaller or faster: fp16, int8, ONNX Runtime's optimisation.

    It is proven like an export and becomes a version of its own. The arguments are the program's:
    `argosy optimise --help` shows them.
    """
    programs.replace_process(programs.exporter_command(context.args, "exporter.optimise_model"))


def verify_models(context: typer.Context) -> None:
    """Check the versions of a models folder: every digest and every parity again.

    The arguments are the program's: `argosy models verify --help` shows them.
    """
    programs.replace_process(programs.exporter_command(context.args, "exporter.verify_models"))


def sign_models(context: typer.Context) -> None:
    """Sign the versions of a model, for services that ask for a signature.

    The arguments are the program's: `argosy models sign --help` shows them.
    """
    programs.replace_process(programs.exporter_command(context.args, "exporter.sign_models"))


def up(
    models_dir: ModelsDir = Path("models"),
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Settings of the services, argosy.toml.")] = None,
    *,
    address: Annotated[str | None, typer.Option(metavar="IP:PORT", help="Where the router listens.")] = None,
    free_ports: Annotated[bool, typer.Option("--free-ports", help="Take free ports, not the default ones.")] = False,
    logs: Annotated[bool, typer.Option("--logs", help="Show all that the processes log, not warnings alone.")] = False,
    ready_timeout: Annotated[float, typer.Option(metavar="SECONDS", min=1, help="How long loading may take.")] = 120.0,
) -> None:
    """Run the whole fleet here: three services and the router.

    It runs in the foreground and restarts what dies. Ctrl-C or SIGTERM drains it: the router first, then the services;
    a second Ctrl-C ends everything at once.

    \b
    Examples:
      argosy up
      argosy up --models-dir models --address 127.0.0.1:9000
    """
    from argosy_cli.console import make_console
    from argosy_cli.up import local_plan
    from argosy_cli.up import up as run

    plan = local_plan(models_dir, config, address, ready_timeout, free_ports=free_ports)
    run(plan, make_console(), all_logs=logs)


def demo(models_dir: ModelsDir = Path("models"), cache_dir: CacheDir = Path(".cache")) -> None:
    """Train, serve and ask every reference model, once.

    What was trained before is not trained again. The fleet runs on free ports and ends with the demo. The exit code
    is 1 where an answer is not the right one.

    \b
    Example:
      argosy demo
    """
    from argosy_cli.console import make_console
    from argosy_cli.demo import demo as run

    run(models_dir, cache_dir, make_console(wide=True))
