"""Requests of one model-version that run together, for the portable front.

A worker answers each request once, from one thread; the answers are kept until the last is there and go back together,
with one wake of the event loop. What a worker drops is answered INTERNAL, so that no caller ever hangs.
"""

import asyncio
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.runtime.errors import ServingError
from services.runtime.faults import unforeseen
from services.runtime.front import NO_REMARKS, Array, QueueSpec, Remarks
from services.runtime.portable_cache import Key
from services.runtime.portable_parts import Outcome, Whole
from services.runtime.tensors import InferCall, encode_infer, gather
from services.runtime.wire import Rows


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to one caller: a message or an error, and what the trailers tell."""

    outcome: Outcome
    queue_us: int
    compute_us: int
    batch_rows: int
    cache: str = ""  # of a model that has one: 'hit' or 'miss'


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a request it is, and where its rows begin there. `rows` are those of a typed request."""

    whole: Whole
    rows: Rows
    index: int
    first_row: int


class Caller:
    """Whether anybody still waits for a request, and who runs it, or its parts."""

    def __init__(self) -> None:
        self.gone = False
        # Weak: a batch must go with the worker's last reference to it, since that is when it answers what it left.
        self.batches: list[weakref.ref[PortableBatch]] = []


@dataclass(slots=True, eq=False)
class Pending:
    """One request on its way through the front, or what has not left of it. Times are seconds of the front's clock."""

    method: str
    message: bytes
    rows: int
    arrived: float
    deadline: float | None
    answer: asyncio.Future[Answer]
    call: InferCall | None = None  # ModelInfer only
    level: int = 1
    rows_field: int = 0  # of a typed method
    part: Part | None = None
    key: Key | None = None  # of a model that has a cache
    caller: Caller = field(default_factory=Caller)

    @property
    def first_row(self) -> int:
        return self.part.first_row if self.part is not None else 0

    def split(self, rows: int) -> "Pending":
        """Take the first `rows` rows out of it, which leave alone."""
        part = self.part or self._first_part(rows)
        calls = (None, None) if self.call is None else self.call.split(rows)
        taken = replace(self, rows=rows, part=part, call=calls[0])
        self.part = replace(part, index=part.index + 1, first_row=part.first_row + rows)
        self.rows, self.call = self.rows - rows, calls[1]
        return taken

    def _first_part(self, rows: int) -> Part:
        whole = Whole(-(-self.rows // rows), self.call is not None)
        return Part(whole, Rows(self.message, self.rows_field), 0, 0)

    def own_message(self) -> bytes:
        """What a worker reads: of a part of a typed request, the message with the part's rows alone."""
        if self.part is None or self.call is not None:
            return self.message
        return self.part.rows.only(range(self.first_row, self.first_row + self.rows))

    def runs_with(self, other: "Pending") -> bool:
        """Whether both can be rows of one batch: the same method and, of tensors, the same trailing shapes."""
        if self.method != other.method:
            return False
        return self.call is None or other.call is None or self.call.trailing_shapes == other.call.trailing_shapes


class PortableBatch:
    """See `front.Batch`. `send` gets the batch and its outcomes, in order, once all are there."""

    def __init__(
        self,
        requests: list[Pending],
        spec: QueueSpec,
        taken: float,
        send: "Callable[[PortableBatch, Sequence[Outcome]], None]",
    ) -> None:
        self.requests = requests
        self.rows = sum(request.rows for request in requests)
        self.taken = taken
        self._spec, self._send = spec, send
        self._outcomes: list[Outcome | None] = [None] * len(requests)
        self._unanswered = len(requests)
        self._lock = threading.Lock()
        self._when_abandoned: Callable[[], None] | None = None
        self._abandoned = False

    @property
    def method(self) -> str:
        return self.requests[0].method

    @property
    def request_count(self) -> int:
        return len(self.requests)

    @property
    def messages(self) -> list[bytes]:
        return [request.own_message() for request in self.requests]

    @property
    def row_counts(self) -> list[int]:
        return [request.rows for request in self.requests]

    @property
    def longest_wait_us(self) -> int:
        return int(max(self.taken - request.arrived for request in self.requests) * 1e6)

    @property
    def first_rows(self) -> list[int]:
        return [request.first_row for request in self.requests]

    def tensors(self) -> dict[str, Array]:
        return gather(self._calls())

    def reply_tensors(self, outputs: Mapping[str, Array], remarks: Remarks = NO_REMARKS) -> None:
        """Raises ValueError, with nothing answered, where an output is missing, has not the batch's rows, or is of a
        dtype that the protocol does not have.
        """
        self._check_outputs(outputs)
        replies, start = [], 0
        for index, (call, rows) in enumerate(zip(self._calls(), self.row_counts, strict=True)):
            own = {name: array[start : start + rows] for name, array in outputs.items()}
            replies.append(encode_infer(call, self._spec.model, self._spec.version, own, remarks.get(index, ())))
            start += rows
        for index, message in enumerate(replies):
            self.reply(index, message)

    def reply(self, index: int, message: bytes) -> None:
        self._settle(index, message)

    def fail(self, index: int, error: ServingError) -> None:
        self._settle(index, error)

    def on_abandoned(self, callback: Callable[[], None]) -> None:
        with self._lock:
            self._when_abandoned = callback
        self.caller_gone()

    def caller_gone(self) -> None:
        """A caller waits no more: when no other waits for an answer that is still to come, say so."""
        with self._lock:
            if self._when_abandoned is None or not self._unanswered or self._somebody_waits():
                return
            callback, self._when_abandoned = self._when_abandoned, None
            self._abandoned = True
        callback()

    @property
    def settled(self) -> bool:
        with self._lock:
            return not (self._unanswered or self._abandoned)

    def close(self) -> None:
        if self._unanswered:
            error = unforeseen("a worker left requests unanswered")
            for index in range(len(self.requests)):
                self._settle(index, error)

    def __del__(self) -> None:
        self.close()

    def _calls(self) -> list[InferCall]:
        return [request.call for request in self.requests if request.call is not None]

    def _somebody_waits(self) -> bool:
        return any(
            outcome is None and not request.caller.gone
            for request, outcome in zip(self.requests, self._outcomes, strict=True)
        )

    def _check_outputs(self, outputs: Mapping[str, Array]) -> None:
        for tensor in self._spec.signature.outputs:
            if tensor.name not in outputs:
                raise ValueError(f"output {tensor.name!r} is missing")
            if len(outputs[tensor.name]) != self.rows:
                raise ValueError(f"output {tensor.name!r}: {self.rows} rows needed, got {len(outputs[tensor.name])}")

    def _settle(self, index: int, outcome: Outcome) -> None:
        with self._lock:
            if self._outcomes[index] is not None:
                return
            self._outcomes[index] = outcome
            self._unanswered -= 1
            if self._unanswered:
                return
        self._send(self, [outcome for outcome in self._outcomes if outcome is not None])
