"""The ways from a source to a graph: how a graph's tensors are called, and what a way mends besides converting.

A remedy is told with what becomes of the graph without it, as long as finding that out is no trouble.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from exporter.arrays import Rows
from exporter.conversion import Mend
from exporter.foreign import told
from exporter.graph import graph_name
from exporter.sources.inputs import Input

# A conversion that takes longer is done once, and not once more for each remedy.
_DEAR_S = 20.0


@dataclass(frozen=True, slots=True)
class Naming:
    """How the graph's tensors shall be called, in the model's order, and rows that it may be traced with."""

    inputs: tuple[Input, ...]
    # None: the output is left out.
    outputs: tuple[str | None, ...]
    example: Rows

    @property
    def input_names(self) -> list[str]:
        """As the graph may have them."""
        return [graph_name(entry.name) for entry in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """Of a source that leaves none out."""
        return [name for name in self.outputs if name is not None]

    @property
    def dynamic_axes(self) -> Mapping[str, Mapping[int, str]]:
        return {graph_name(entry.name): entry.dynamic_axes for entry in self.inputs}


@dataclass(frozen=True, slots=True)
class Remedy:
    """What a way does besides the plain conversion, in words, and the way to the graph without it.

    None where a graph without it could not be used, whatever it answers.
    """

    words: str
    without: Callable[[Naming], bytes] | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """One way to a graph, and what it mends; nothing where it is the plain conversion."""

    to_graph: Callable[[Naming], bytes]
    remedies: tuple[Remedy, ...] = ()


def mends(way: Way, naming: Naming, took_s: float) -> Iterator[Mend]:
    """What each remedy of the way mends; a conversion by it took so long."""
    for remedy in way.remedies:
        yield _mend(remedy, naming, took_s)


def _mend(remedy: Remedy, naming: Naming, took_s: float) -> Mend:
    """The remedy and what becomes of the graph without it, as long as finding that out is no trouble."""
    if remedy.without is None:
        return Mend(remedy.words)
    if took_s > _DEAR_S:
        return Mend(remedy.words, untried=f"not tried without it: a conversion takes {took_s:.0f} s")
    try:
        return Mend(remedy.words, remedy.without(naming))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the plain converter raises is what the remedy is for
        return Mend(remedy.words, wrong=f"there is no graph: {told(error, 80)}")
