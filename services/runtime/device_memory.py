"""How a card's memory is divided among a process's models, decided without a card.

A model's share (`device_memory_mb` in its serving.yaml) is of each card that it runs on, for each version that is
served at a time. Where the process is told how much of a card is its own, the models that name no share divide what the
others leave; where it is not, they have no limit. Shares that do not fit are refused before anything is loaded.

While one version takes over from another both are there: what is to be replaced without a stop needs its share twice.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from services.runtime.devices import cards_of


class DeviceMemoryError(Exception):
    """The shares do not fit; the text is one line with the numbers."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a model's serving.yaml says. `share_mb` is of each card and version, 0: none is named."""

    model: str
    share_mb: int
    instances: int
    versions: int

    @property
    def whole_mb(self) -> int:
        return self.share_mb * self.versions


def shares(
    demands: Sequence[Demand], device_ids: Sequence[int], limit_mb: int, free_mb: Callable[[int], int | None]
) -> Mapping[str, int]:
    """MiB of each card for one version of each model, 0: no limit. `limit_mb` is the process's part of each card, 0:
    what is free there, where that can be told. Raises DeviceMemoryError where the shares do not fit.
    """
    found = {demand.model: demand.share_mb for demand in demands}
    for card in dict.fromkeys(device_ids):
        there = [demand for demand in demands if card in cards_of(demand.instances, device_ids)]
        unnamed = [demand for demand in there if not demand.share_mb] if limit_mb else []
        count = sum(demand.versions for demand in unnamed)
        rest_mb = _rest_mb(card, there, limit_mb or free_mb(card), needed_mb=count)
        for demand in unnamed:
            part_mb = rest_mb // count
            found[demand.model] = min(found[demand.model] or part_mb, part_mb)
    return found


def _rest_mb(card: int, there: Sequence[Demand], available_mb: int | None, needed_mb: int) -> int:
    """What the named shares leave, at least `needed_mb`."""
    named_mb = sum(demand.whole_mb for demand in there)
    if available_mb is None or not named_mb + needed_mb:
        return 0
    if named_mb + needed_mb > available_mb:
        each = ", ".join(f"{demand.model} {demand.whole_mb or 'what is left'}" for demand in there)
        raise DeviceMemoryError(
            f"device_memory_mb: card {card} has {available_mb} MiB for this process, its models want {named_mb}: {each}"
        )
    return available_mb - named_mb
