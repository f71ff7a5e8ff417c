"""The terminal as every command writes to it."""

from rich.console import Console

_WIDE_COLUMNS = 150


def make_console(*, wide: bool = False) -> Console:
    """Standard output. What models and services say is text, not markup: a shape [2, 3] stays as it is.

    A wide table is not squeezed into the 80 columns that a pipe is taken to have.
    """
    console = Console(markup=False, emoji=False, highlight=False)
    if wide and not console.is_terminal:
        console.width = _WIDE_COLUMNS
    return console
