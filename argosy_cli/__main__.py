"""The command `argosy`: its commands in the order in which a newcomer meets them, and one line for every failure."""

import sys
from typing import NoReturn

import typer

from argosy_cli import ask_commands, evaluate_command, run_commands, stub_command
from argosy_cli.errors import CliError

_MORE_FLAGS = {"allow_extra_args": True, "ignore_unknown_options": True}
_FORWARD = {**_MORE_FLAGS, "help_option_names": []}

commands = typer.Typer(
    name="argosy",
    help="A fleet of gRPC inference services: train, export, run and ask models for images, texts and tables.",
    epilog="Start with `argosy demo`: it trains, serves and asks every reference model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
commands.command()(run_commands.demo)
commands.command()(run_commands.train)
commands.command(context_settings=_FORWARD, add_help_option=False)(run_commands.export)
commands.command(context_settings=_FORWARD, add_help_option=False)(run_commands.optimise)
ask_commands.models.command("verify", context_settings=_FORWARD, add_help_option=False)(run_commands.verify_models)
ask_commands.models.command("sign", context_settings=_FORWARD, add_help_option=False)(run_commands.sign_models)
commands.command()(run_commands.up)
commands.command(context_settings=_MORE_FLAGS)(run_commands.serve)
commands.command()(run_commands.route)
commands.command()(ask_commands.predict)
commands.add_typer(ask_commands.models, name="models")
commands.command()(evaluate_command.evaluate)
commands.command()(stub_command.stub)
commands.command()(ask_commands.status)


def app() -> NoReturn:
    """Run the command line. What a person can mend is one line on standard error."""
    try:
        commands()
    except CliError as error:
        print(f"argosy: {error.line}", file=sys.stderr)
        sys.exit(error.exit_code)
    sys.exit(0)


if __name__ == "__main__":
    app()
