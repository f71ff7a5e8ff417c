"""A source that is given numbers as callers have them, and scales them before it reads them."""

from collections.abc import Callable
from dataclasses import replace

from exporter.normalisation import Normalisation
from exporter.sources.source import Source
from exporter.sources.ways import Naming, Remedy, Way


def normalised(source: Source, given: Normalisation | None) -> Source:
    """The same source behind the scaling, in what it answers and in every graph of it."""
    if given is None:
        return source

    def behind(to_graph: Callable[[Naming], bytes]) -> Callable[[Naming], bytes]:
        return lambda naming: given.put_into(to_graph(naming))

    def remedy(own: Remedy) -> Remedy:
        return own if own.without is None else replace(own, without=behind(own.without))

    def way(own: Way) -> Way:
        return Way(behind(own.to_graph), tuple(map(remedy, own.remedies)))

    return replace(
        source, answer=lambda rows: source.answer([given.applied(rows[0])]), ways=tuple(way(own) for own in source.ways)
    )
