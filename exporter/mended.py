"""Was a remedy needed? What the converter makes without it is held against the source as well.

So a manifest says "mended" only of what was wrong, or not to be had, without the remedy, and on which rows. Where the
graph without it answers alike on every row that was tried, the remedy stays, because others may be asked one day, and
the manifest says "guarded".
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from exporter.comparison import compare_all
from exporter.conversion import Conversion, Mend
from exporter.errors import GraphError, ManifestError
from exporter.parity import Tolerance


@dataclass(frozen=True, slots=True)
class Told:
    """For the manifest: each with its evidence."""

    remedies: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()


def told_of(
    conversion: Conversion,
    class_outputs: Collection[str],
    tolerance: Tolerance,
    index_outputs: Collection[str] = (),
) -> Told:
    """What the mends of a conversion were good for."""
    remedies, guards = [], []
    for mend in conversion.mends:
        if mend.untried:
            guards.append(f"{mend.words} ({mend.untried})")
        elif wrong := _wrong_without(mend, conversion, class_outputs, tolerance, index_outputs):
            remedies.append(f"{mend.words} (without it {wrong})")
        elif mend.without is None:
            remedies.append(mend.words)
        else:
            guards.append(mend.words)
    return Told(tuple(remedies), tuple(guards))


def with_graph(mend: Mend, change: Callable[[bytes], bytes]) -> Mend:
    """The mend where the graph that it mended has become part of another: so has the one without it."""
    if mend.without is None:
        return mend
    try:
        return replace(mend, without=change(mend.without))
    except (GraphError, ManifestError) as error:
        return replace(mend, without=None, wrong=f"there is no graph: {error}")


def _wrong_without(
    mend: Mend,
    conversion: Conversion,
    class_outputs: Collection[str],
    tolerance: Tolerance,
    index_outputs: Collection[str],
) -> str:
    if mend.without is None:
        return mend.wrong
    return compare_all(replace(conversion, graph=mend.without), class_outputs, tolerance, index_outputs).brief
