"""Memory for the batches of one worker that stays where it is, so that a session can bind it once.

Inputs of fixed size are gathered into the same memory for every batch, and the outputs stand in the same memory after
every run. For each number of rows there is one object, `BufferedRows`, by whose number a session finds what it has
bound. None may be kept beyond its batch: the worker writes over them with the next.
"""

from collections.abc import Callable, Mapping
from itertools import count
from typing import Protocol

from services.runtime.front import Array

# For how many numbers of rows a worker keeps what belongs to them; batches of other sizes run like any other.
MAX_ROW_COUNTS = 256

_numbers = count()


class BufferedRows(dict[str, Array]):
    """The inputs of `row_count` rows, and in `outputs` where a run that is bound to them leaves what it answers.

    `number` is its own in this process. `are_finite` says whether every float of a batch's inputs is a finite number.
    """

    __slots__ = ("are_finite", "number", "outputs", "row_count")

    def __init__(self, row_count: int, inputs: Mapping[str, Array], outputs: dict[str, Array]) -> None:
        super().__init__(inputs)
        self.number, self.row_count = next(_numbers), row_count
        self.outputs = outputs
        self.are_finite = False


class BatchBuffers:
    """`inputs` and `outputs`: by name, [max_batch_rows, ...] each, of one worker alone."""

    def __init__(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        self._inputs, self._outputs = inputs, outputs
        self._by_count: dict[int, BufferedRows] = {}

    def rows(self, row_count: int, are_finite: bool) -> dict[str, Array]:
        """The first rows: `BufferedRows`, the same for the same count, unless there are too many of them already."""
        rows = self._by_count.get(row_count)
        if rows is None:
            inputs = _first(self._inputs, row_count)
            if len(self._by_count) == MAX_ROW_COUNTS:
                return inputs
            rows = self._by_count[row_count] = BufferedRows(row_count, inputs, _first(self._outputs, row_count))
        rows.are_finite = are_finite
        return rows


class BatchInPlace(Protocol):
    """A batch whose tensors are in such memory."""

    def on_abandoned(self, callback: Callable[[], None]) -> None:
        """As `front.Batch` has it."""

    def reply_buffers(self) -> bool:
        """Answer every request with its rows of the outputs. True where `on_abandoned` never calls back."""


class AnswersInPlace(Protocol):
    """What answers batches where they lie."""

    def answer(self, batch: BatchInPlace, rows: BufferedRows, request_count: int, longest_wait_us: int) -> bool:
        """Answer a batch whose floats are all finite. False where that is not to be done here: then it is handed out as
        any other.
        """


def _first(tensors: Mapping[str, Array], row_count: int) -> dict[str, Array]:
    return {name: array[:row_count] for name, array in tensors.items()}
