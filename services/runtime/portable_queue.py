"""The queue of one model-version, for the portable front.

Requests wait in one line, oldest first. A worker that is free takes the oldest and whatever behind it can run with it:
the same method, and for ModelInfer tensors of the same trailing shape. Nothing that is expired or cancelled is handed
out. Admission is decided here, by the room that is left and by the measured service time of a batch. The queue
deliberately knows no gRPC and starts no thread.
"""

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

from services.runtime.errors import ServingError, deadline_exceeded, exhausted
from services.runtime.front import QueueSpec, QueueStats
from services.runtime.portable_batch import Answer, Outcome, Pending, PortableBatch
from services.runtime.portable_counts import QueueCounts

# Hands answers to the event loop, any number with one wake.
Deliver: TypeAlias = Callable[[Sequence[tuple[Pending, Answer]]], None]

# How much of the newest batch goes into the measured service time.
_NEWEST = 0.2


class PortableQueue:
    """Bounded by rows. `take` blocks a worker thread; everything else returns at once."""

    def __init__(self, spec: QueueSpec, clock: Callable[[], float], deliver: Deliver) -> None:
        self.spec = spec
        self.methods = frozenset(route.method for route in spec.routes)
        self._clock, self._deliver = clock, deliver
        self._changed = threading.Condition()
        self._waiting: deque[Pending] = deque()
        self._waiting_rows = 0
        self._running_batches = 0
        self._service_time_s: float | None = None
        self._closed = False
        self._counts = QueueCounts()

    def admit(self, request: Pending) -> bool:
        """Queue a request: False where the queue is closed. Raises ServingError where the request finds no room or
        cannot meet its deadline.
        """
        with self._changed:
            if self._closed:
                return False
            self._check_room(request)
            self._check_deadline(request)
            self._waiting.append(request)
            self._waiting_rows += request.rows
            self._counts.last_request_unix_ms = time.time_ns() // 1_000_000
            self._changed.notify()
        return True

    def take(self) -> PortableBatch | None:
        with self._changed:
            while True:
                self._drop_expired()
                if requests := self._company():
                    return self._start(requests)
                if self._closed and not self._waiting:
                    return None
                self._changed.wait(self._company_wait_s())

    def withdraw(self, request: Pending) -> None:
        """The caller has gone: forget the request, or tell the batch that runs it."""
        with self._changed:
            request.gone = True
            if request.batch is None:
                self._remove([request])
            batch = request.batch() if request.batch is not None else None
        if batch is not None:
            batch.caller_gone()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def stats(self) -> QueueStats:
        with self._changed:
            return self._counts.read(self.spec, self._waiting_rows)

    # ---- admission

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

    # ---- what leaves

    def _company(self) -> list[Pending]:
        """The requests that leave now: none while there are none or while they may wait for more."""
        requests: list[Pending] = []
        rows, limit = 0, self.spec.policy.max_batch_rows
        complete = self._closed
        for request in self._waiting:
            if requests and not request.runs_with(requests[0]):
                continue
            if requests and rows + request.rows > limit:
                complete = True
                break
            requests.append(request)
            rows += request.rows
        return requests if complete or rows >= limit or self._company_wait_s() == 0 else []

    def _company_wait_s(self) -> float | None:
        """How long the oldest may still wait for company; None where nothing waits."""
        if not self._waiting:
            return None
        return max(0.0, self._waiting[0].arrived + self.spec.policy.max_wait_us / 1e6 - self._clock())

    def _drop_expired(self) -> None:
        now = self._clock()
        expired = [request for request in self._waiting if request.deadline is not None and request.deadline <= now]
        if expired:
            self._remove(expired)
            error = deadline_exceeded("the deadline passed while the request waited: the model did not run")
            self._deliver([(request, Answer(error, _us(now - request.arrived), 0, 0)) for request in expired])

    def _start(self, requests: list[Pending]) -> PortableBatch:
        self._remove(requests)
        batch = PortableBatch(requests, self.spec, self._clock(), self._finish)
        for request in requests:
            request.batch = weakref.ref(batch)
        self._running_batches += 1
        self._counts.in_flight_requests += len(requests)
        if self._waiting:  # perhaps for a worker that was woken too early to see what has become complete since
            self._changed.notify()
        return batch

    def _remove(self, requests: list[Pending]) -> None:
        leaving = set(map(id, requests))
        self._waiting = deque(request for request in self._waiting if id(request) not in leaving)
        self._waiting_rows = sum(request.rows for request in self._waiting)

    # ---- what comes back

    def _finish(self, batch: PortableBatch, outcomes: Sequence[Outcome]) -> None:
        compute_s = self._clock() - batch.taken
        compute_us = _us(compute_s)
        queue_us = [_us(batch.taken - request.arrived) for request in batch.requests]
        failures = sum(isinstance(outcome, ServingError) for outcome in outcomes)
        with self._changed:
            self._running_batches -= 1
            self._counts.add_batch(batch.rows, queue_us, compute_us, failures)
            before = self._service_time_s
            self._service_time_s = compute_s if before is None else before + _NEWEST * (compute_s - before)
        self._deliver(
            [
                (request, Answer(outcome, waited_us, compute_us, batch.rows))
                for request, outcome, waited_us in zip(batch.requests, outcomes, queue_us, strict=True)
            ]
        )


def _us(duration_s: float) -> int:
    return int(duration_s * 1e6)
