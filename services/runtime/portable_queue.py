"""The queue of one model-version and the batches that leave it, for the portable front.

Requests wait in one line, oldest first. A worker that is free takes the oldest and whatever behind it can run with it:
the same method, and for ModelInfer tensors of the same trailing shape. Nothing that is expired or cancelled is handed
out. Admission is decided here, with no clock of its own and no gRPC: `now` is an argument.
"""

import asyncio
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from services.runtime.errors import ServingError, deadline_exceeded, exhausted, internal, unavailable
from services.runtime.front import Array, Histogram, QueueSpec, QueueStats
from services.runtime.tensors import InferCall, encode_infer, gather

BOUNDS_US = (
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    5_000_000,
)

# How much of the newest batch goes into the measured service time.
_NEWEST = 0.2


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to one caller: a message or an error, and what the trailers tell."""

    outcome: bytes | ServingError
    queue_us: int
    compute_us: int
    batch_rows: int


@dataclass(slots=True, eq=False)
class Pending:
    """One admitted request. Times are in seconds of the front's clock."""

    method: str
    message: bytes
    rows: int
    arrived: float
    deadline: float | None
    answer: asyncio.Future[Answer]
    call: InferCall | None = None  # ModelInfer only
    # Weak: a batch must go with the worker's last reference to it, since that is when it answers what it left.
    batch: "weakref.ref[PortableBatch] | None" = None
    gone: bool = False

    def runs_with(self, other: "Pending") -> bool:
        if self.method != other.method:
            return False
        if self.call is None or other.call is None:
            return True
        return self.call.trailing_shapes == other.call.trailing_shapes


# Hands answers to the event loop, any number with one wake.
Deliver: TypeAlias = Callable[[Sequence[tuple[Pending, Answer]]], None]


class _TimeCounts:
    """A histogram that is being filled."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_US) + 1)
        self._sum_us = 0

    def add(self, duration_us: int) -> None:
        place = next((i for i, bound in enumerate(BOUNDS_US) if duration_us <= bound), len(BOUNDS_US))
        self._counts[place] += 1
        self._sum_us += duration_us

    def read(self) -> Histogram:
        return Histogram(BOUNDS_US, tuple(self._counts), self._sum_us)


class PortableQueue:
    """Bounded by rows. `take` blocks a worker thread; everything else returns at once."""

    def __init__(self, spec: QueueSpec, clock: Callable[[], float], deliver: Deliver) -> None:
        self.spec = spec
        self.deliver = deliver
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: deque[Pending] = deque()
        self._waiting_rows = 0
        self._running_batches = 0
        self._running_requests = 0
        self._service_time_s: float | None = None
        self._closed = False
        self._succeeded = self._failed = self._answered_rows = self._last_request_unix_ms = 0
        self._batches_by_rows: Counter[int] = Counter()
        self._queue_time, self._compute_time = _TimeCounts(), _TimeCounts()

    def admit(self, request: Pending) -> None:
        """Queue a request. Raises ServingError where it finds no room or cannot meet its deadline."""
        with self._changed:
            if self._closed:
                raise unavailable(
                    "VERSION_CLOSED", f"model '{self.spec.model}' version '{self.spec.version}' is unloading"
                )
            self._check_room(request)
            self._check_deadline(request)
            self._waiting.append(request)
            self._waiting_rows += request.rows
            self._last_request_unix_ms = time.time_ns() // 1_000_000
            self._changed.notify()

    def withdraw(self, request: Pending) -> None:
        """The caller has gone: forget the request, or tell the batch that runs it."""
        with self._changed:
            request.gone = True
            if request in self._waiting:
                self._waiting.remove(request)
                self._waiting_rows -= request.rows
            batch = request.batch() if request.batch is not None else None
        if batch is not None:
            batch.caller_gone()

    def take(self) -> "PortableBatch | None":
        with self._changed:
            while True:
                requests = self._company()
                if requests:
                    return self._start(requests)
                if self._closed and not self._waiting:
                    return None
                self._changed.wait(self._company_wait_s())

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def finish(self, batch: "PortableBatch", compute_s: float, failures: int) -> None:
        """A batch has been answered in full."""
        with self._changed:
            self._running_batches -= 1
            self._running_requests -= len(batch.requests)
            self._failed += failures
            self._succeeded += len(batch.requests) - failures
            self._answered_rows += batch.rows
            self._batches_by_rows[batch.rows] += 1
            before = self._service_time_s
            self._service_time_s = compute_s if before is None else before + _NEWEST * (compute_s - before)
            for request in batch.requests:
                self._queue_time.add(int((batch.taken - request.arrived) * 1e6))
                self._compute_time.add(int(compute_s * 1e6))

    def stats(self) -> QueueStats:
        with self._changed:
            return QueueStats(
                model=self.spec.model,
                version=self.spec.version,
                waiting_rows=self._waiting_rows,
                in_flight_requests=self._running_requests,
                succeeded_requests=self._succeeded,
                failed_requests=self._failed,
                answered_rows=self._answered_rows,
                batches_by_rows=dict(self._batches_by_rows),
                queue_time=self._queue_time.read(),
                compute_time=self._compute_time.read(),
                last_request_unix_ms=self._last_request_unix_ms,
            )

    def _check_room(self, request: Pending) -> None:
        capacity = self.spec.policy.capacity_rows
        # A request larger than the queue is let in alone: it could never run otherwise.
        if self._waiting and self._waiting_rows + request.rows > capacity:
            raise exhausted(
                "QUEUE_FULL",
                f"model '{self.spec.model}': {self._waiting_rows} of {capacity} rows wait, {request.rows} do not fit",
                retry_after_s=max(0.01, self._wait_s()),
            )

    def _check_deadline(self, request: Pending) -> None:
        if request.deadline is None:
            return
        left_s = request.deadline - self._clock()
        if left_s <= 0:
            raise deadline_exceeded("the deadline had passed when the request arrived")
        # With nothing ahead a request is always let in, so that one slow batch is not remembered for ever.
        if (self._waiting or self._running_batches) and self._service_time_s is not None:
            needed_s = self._wait_s() + self._service_time_s
            if needed_s > left_s:
                raise deadline_exceeded(
                    f"{needed_s * 1e3:.0f} ms are needed behind what waits, {left_s * 1e3:.0f} ms are left"
                )

    def _wait_s(self) -> float:
        """How long what is ahead takes the workers, by the measured service time of a batch."""
        policy = self.spec.policy
        # What runs is on average half done.
        batches_ahead = self._waiting_rows / policy.max_batch_rows + 0.5 * (self._running_batches >= policy.instances)
        return batches_ahead * (self._service_time_s or 0.0) / policy.instances

    def _company(self) -> list[Pending]:
        """The requests that leave now: empty while there are none or while they may wait for company."""
        self._drop_expired()
        requests: list[Pending] = []
        rows, full = 0, self._closed
        for request in self._waiting:
            if requests and not request.runs_with(requests[0]):
                continue
            if requests and rows + request.rows > self.spec.policy.max_batch_rows:
                full = True
                break
            requests.append(request)
            rows += request.rows
        full = full or rows >= self.spec.policy.max_batch_rows
        return requests if requests and (full or self._company_wait_s() == 0) else []

    def _company_wait_s(self) -> float | None:
        """How long the oldest may still wait for company; None where nothing waits."""
        if not self._waiting:
            return None
        return max(0.0, self._waiting[0].arrived + self.spec.policy.max_wait_us / 1e6 - self._clock())

    def _drop_expired(self) -> None:
        now = self._clock()
        expired = [request for request in self._waiting if request.deadline is not None and request.deadline <= now]
        error = deadline_exceeded("the deadline passed while the request waited: the model did not run")
        for request in expired:
            self._waiting.remove(request)
            self._waiting_rows -= request.rows
        self.deliver([(request, Answer(error, int((now - request.arrived) * 1e6), 0, 0)) for request in expired])

    def _start(self, requests: list[Pending]) -> "PortableBatch":
        chosen = set(map(id, requests))
        self._waiting = deque(request for request in self._waiting if id(request) not in chosen)
        batch = PortableBatch(self, requests, self._clock)
        for request in requests:
            request.batch = weakref.ref(batch)
        self._waiting_rows -= batch.rows
        self._running_batches += 1
        self._running_requests += len(requests)
        return batch


class PortableBatch:
    """Requests that run together. Answers are kept until the last is there and go back together."""

    def __init__(self, queue: PortableQueue, requests: list[Pending], clock: Callable[[], float]) -> None:
        self.requests = requests
        self.rows = sum(request.rows for request in requests)
        self.taken = clock()
        self._queue, self._clock = queue, clock
        self._outcomes: list[bytes | ServingError | None] = [None] * len(requests)
        self._unanswered = len(requests)
        self._lock = threading.Lock()
        self._when_abandoned: Callable[[], None] | None = None

    @property
    def method(self) -> str:
        return self.requests[0].method

    @property
    def messages(self) -> list[bytes]:
        return [request.message for request in self.requests]

    @property
    def row_counts(self) -> list[int]:
        return [request.rows for request in self.requests]

    def tensors(self) -> dict[str, Array]:
        return gather([request.call for request in self.requests if request.call is not None])

    def reply_tensors(self, outputs: Mapping[str, Array]) -> None:
        spec, start = self._queue.spec, 0
        for index, request in enumerate(self.requests):
            rows = slice(start, start := start + request.rows)
            if request.call is not None:
                own = {name: array[rows] for name, array in outputs.items()}
                self.reply(index, encode_infer(request.call, spec.model, spec.version, own))

    def reply(self, index: int, message: bytes) -> None:
        self._settle(index, message)

    def fail(self, index: int, error: ServingError) -> None:
        self._settle(index, error)

    def on_abandoned(self, callback: Callable[[], None]) -> None:
        with self._lock:
            self._when_abandoned = callback
        self.caller_gone()

    def caller_gone(self) -> None:
        """One of the callers has cancelled: when it was the last, say so."""
        with self._lock:
            if self._when_abandoned is None or not all(request.gone for request in self.requests):
                return
            callback, self._when_abandoned = self._when_abandoned, None
        callback()

    def close(self) -> None:
        for index in range(len(self.requests)):
            if self._outcomes[index] is None:
                self._settle(index, internal("UNANSWERED"))

    def __del__(self) -> None:
        self.close()

    def _settle(self, index: int, outcome: bytes | ServingError) -> None:
        if self._outcomes[index] is not None:
            return
        self._outcomes[index] = outcome
        self._unanswered -= 1
        if self._unanswered == 0:
            self._send()

    def _send(self) -> None:
        compute_s = self._clock() - self.taken
        failures = sum(isinstance(outcome, ServingError) for outcome in self._outcomes)
        self._queue.finish(self, compute_s, failures)
        answers = [
            (request, Answer(outcome, int((self.taken - request.arrived) * 1e6), int(compute_s * 1e6), self.rows))
            for request, outcome in zip(self.requests, self._outcomes, strict=True)
            if outcome is not None
        ]
        self._queue.deliver(answers)
