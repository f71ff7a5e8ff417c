"""The queue of one model-version, for the portable front: its line, its lock, and the workers that wait at it.

Who is let in and who leaves together is the line's to say (`portable_line.py`). Nothing that is expired or cancelled is
handed out. The queue deliberately knows no gRPC and starts no thread.
"""

import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from services.runtime.errors import ServingError, deadline_exceeded, exhausted
from services.runtime.front import QueueSpec
from services.runtime.front_stats import QueueStats
from services.runtime.portable_batch import Answer, Pending, PortableBatch
from services.runtime.portable_cache import ResponseCache
from services.runtime.portable_counts import QueueCounts
from services.runtime.portable_line import PortableLine
from services.runtime.portable_parts import Outcome

if TYPE_CHECKING:
    from services.runtime.batch_buffers import AnswersInPlace

# Hands answers to the event loop, any number with one wake.
Deliver: TypeAlias = Callable[[Sequence[tuple[Pending, Answer]]], None]

# When what was displaced may try again: those that displaced it must have gone first.
_DISPLACED_RETRY_S = 0.1


class PortableQueue:
    """Bounded by rows. `take` blocks a worker thread; everything else returns at once."""

    def __init__(self, spec: QueueSpec, clock: Callable[[], float], deliver: Deliver, max_answer_bytes: int) -> None:
        self.spec, self._max_answer_bytes = spec, max_answer_bytes
        self.cache = ResponseCache(spec.policy.cache_bytes) if spec.policy.cache_bytes else None
        self._clock, self._deliver = clock, deliver
        self._changed = threading.Condition()
        self._line = PortableLine(spec.model, spec.policy)
        self._counts = QueueCounts()

    def admit(self, request: Pending) -> bool:
        """Queue a request: False where the queue is closed. Raises ServingError where the request finds no room or
        cannot meet its deadline.
        """
        with self._changed:
            if self._line.closed:
                return False
            self._line.check(request, self._clock())
            displaced = self._line.push(request)
            self._counts.last_request_unix_ms = time.time_ns() // 1_000_000
            self._changed.notify()
        self._refuse(displaced, self._displaced)
        return True

    def take(self) -> PortableBatch | None:
        with self._changed:
            while True:
                now_s = self._clock()
                self._refuse(self._line.expired(now_s), _expired)
                if requests := self._line.next(now_s):
                    return self._start(requests, now_s)
                if self._line.closed and self._line.is_empty:
                    return None
                self._changed.wait(self._line.wait_s(now_s))

    def for_worker(self, in_place: "AnswersInPlace | None" = None) -> "PortableQueue":  # noqa: ARG002
        """Its batches have memory of their own."""
        return self

    def withdraw(self, request: Pending) -> None:
        """The caller waits no more: forget what still waits of the request, and tell the batches that run it."""
        with self._changed:
            request.caller.gone = True
            self._line.remove([request])
            batches = [batch for ref in request.caller.batches if (batch := ref()) is not None]
        for batch in batches:
            batch.caller_gone()

    def close(self) -> None:
        with self._changed:
            self._line.closed = True
            self._changed.notify_all()

    def stats(self) -> QueueStats:
        with self._changed:
            return self._counts.read(self.spec, self._line.waiting_rows, self.cache.stats() if self.cache else None)

    def _start(self, requests: list[Pending], now_s: float) -> PortableBatch:
        batch = PortableBatch(requests, self.spec, now_s, self._finish)
        for request in requests:
            request.caller.batches.append(weakref.ref(batch))
        self._counts.in_flight_requests += len(requests)
        if not self._line.is_empty:  # perhaps for a worker that was woken too early to see what has become complete
            self._changed.notify()
        return batch

    # ---- what comes back

    def _finish(self, batch: PortableBatch, outcomes: Sequence[Outcome]) -> None:
        now_s = self._clock()
        answers: list[tuple[Pending, Answer]] = []
        with self._changed:
            # Of one that was ended, or refused as a whole, the time says nothing of those that run to their end.
            has_run = not all(isinstance(outcome, ServingError) for outcome in outcomes)
            self._line.finished(batch.rows, batch.taken, now_s - batch.taken if has_run else None)
            self._counts.add_batch(batch.rows, len(batch.requests))
            for request, outcome in zip(batch.requests, outcomes, strict=True):
                if (answer := self._answer(batch, request, outcome, now_s)) is not None:
                    answers.append((request, answer))
                    self._counts.add_request(answer)
        self._deliver(answers)

    def _answer(self, batch: PortableBatch, request: Pending, outcome: Outcome, now_s: float) -> Answer | None:
        """What one request's outcome is to its caller; None where other parts of it are still to come."""
        taken_s, rows = batch.taken, batch.rows
        if request.part is not None:
            settled = request.part.whole.settle(request.part.index, outcome, batch.taken, self._max_answer_bytes)
            if settled is None:
                return None
            (outcome, taken_s), rows = settled, self.spec.policy.max_batch_rows
            if isinstance(outcome, ServingError):
                self._line.remove_of(request.caller)
        return Answer(outcome, _us(taken_s - request.arrived), _us(now_s - taken_s), rows)

    def _refuse(self, requests: Sequence[Pending], error: Callable[[], ServingError]) -> None:
        """Answer requests that will not run."""
        if requests:
            now_s = self._clock()
            self._deliver([(request, Answer(error(), _us(now_s - request.arrived), 0, 0)) for request in requests])

    def _displaced(self) -> ServingError:
        text = f"model '{self.spec.model}': the request made room for one of a higher priority"
        return exhausted("QUEUE_FULL", text, _DISPLACED_RETRY_S)


def _expired() -> ServingError:
    return deadline_exceeded("the deadline passed while the request waited: the model did not run")


def _us(duration_s: float) -> int:
    return int(duration_s * 1e6)
