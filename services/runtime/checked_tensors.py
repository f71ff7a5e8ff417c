"""The tensors of a ModelInfer batch before it runs: which requests' the model takes, and what their callers are told.

The batch is looked at as a whole, since nearly always there is nothing to find; request by request where there is.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from services.runtime.errors import ServingError
from services.runtime.front import NO_REMARKS, Array, Batch, Remarks
from services.runtime.places import in_request
from services.runtime.typed_method import TensorCheck


@dataclass(frozen=True, slots=True)
class Checked:
    """The requests of a batch, by index: those that failed, which have their answers, and what the others are told."""

    failed: AbstractSet[int]
    remarks: Remarks


def checked(batch: Batch, inputs: Mapping[str, Array], check: TensorCheck) -> Checked:
    """What `check` says of each request. Answers those that it refuses."""
    try:
        if not check(inputs):
            return Checked(frozenset(), NO_REMARKS)
    except ServingError:
        pass  # of whom, is found below
    failed: set[int] = set()
    remarks: dict[int, tuple[str, ...]] = {}
    for index, own in each_left(batch, inputs, failed):
        try:
            if found := check(own):
                remarks[index] = found
        except ServingError as error:
            batch.fail(index, in_request(error, batch.first_rows[index]))
            failed.add(index)
    return Checked(failed, remarks)


def each_left(
    batch: Batch, inputs: Mapping[str, Array], failed: AbstractSet[int]
) -> Iterator[tuple[int, dict[str, Array]]]:
    """Each request that has not failed, with its own rows."""
    start = 0
    for index, count in enumerate(batch.row_counts):
        rows = slice(start, start := start + count)
        if index not in failed:
            yield index, rows_of(inputs, rows)


def rows_of(tensors: Mapping[str, Array], rows: slice) -> dict[str, Array]:
    """Some rows of every tensor."""
    return {name: array[rows] for name, array in tensors.items()}
