"""The command that writes typed stubs: stub."""

from pathlib import Path
from typing import Annotated

import typer

from argosy_cli.ask_commands import Router, Timeout
from argosy_cli.errors import CliError
from argosy_cli.programs import DEFAULT_ROUTER


def stub(
    model: Annotated[str, typer.Argument(help="The name of a model.")],
    *,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE.proto", help="Where to write it; a folder gets argosy/models/NAME/v1/NAME.proto."),
    ] = None,
    version: Annotated[str, typer.Option(help="The model's version; the default one where none is named.")] = "",
    models_dir: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Read it from here, not a fleet.")] = None,
    router: Router = DEFAULT_ROUTER,
    timeout: Timeout = 10.0,
) -> None:
    """Write a .proto for one model: its columns, classes and landmarks by name and type.

    Clients of every language are built from it: `row.age = 39`, `result.likeliest`. The fleet answers it as it is. A
    fleet that runs is asked for the model, or a folder is read.

    \b
    Examples:
      argosy stub income
      argosy stub sentiment --models-dir models
      argosy stub income --output protos/
    """
    from argosy_cli.client import connect
    from argosy_cli.one_service import manifest_on_disk
    from stubs.names import StubError, file_name
    from stubs.proto_text import proto_text
    from stubs.stub import stub_of

    if models_dir is not None:
        manifest = manifest_on_disk(models_dir, model, version)
    else:
        with connect(router, timeout) as fleet:
            manifest = fleet.manifest(model, version)
    try:
        text = proto_text(stub_of(manifest))
    except StubError as error:
        raise CliError(str(error)) from None
    if output is None:
        typer.echo(text, nl=False)
        return
    path = output if output.suffix == ".proto" else output / file_name(model)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror}") from None
    typer.echo(path)
