"""The terminal as every command writes to it."""

from rich.console import Console


def make_console() -> Console:
    """Standard output. What models and services say is text, not markup: a shape [2, 3] stays as it is."""
    return Console(markup=False, emoji=False, highlight=False)
