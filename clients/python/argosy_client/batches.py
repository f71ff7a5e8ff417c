"""Any number of inputs in calls that fit: at most so many inputs and so many bytes each, in order.

An input that is alone larger than the limit goes alone: the fleet says what it takes.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def batches(items: Iterable[Item], size: Callable[[Item], int], max_count: int, max_bytes: int) -> Iterator[list[Item]]:
    """Lists of one item or more. Takes from `items` only what the next list needs."""
    batch: list[Item] = []
    batch_bytes = 0
    for item in items:
        item_bytes = size(item)
        if batch and (len(batch) == max_count or batch_bytes + item_bytes > max_bytes):
            yield batch
            batch, batch_bytes = [], 0
        batch.append(item)
        batch_bytes += item_bytes
    if batch:
        yield batch
