"""The line of requests that wait for one model-version, for the portable front: who is let in, who leaves together.

Requests stand by their priority's level, and within a level oldest first; what stands behind the first and can run with
it goes along. A request of more rows than a batch leaves in parts: after each, the rest goes to the end of its level,
so that it holds up the others by one batch at a time, and takes the room of one batch. Room and the measured service
time of a batch decide admission; what stands in a lower level is not ahead, and makes room. Time is an argument and
nothing here blocks: the queue around it does.
"""

from collections.abc import Sequence
from itertools import takewhile

from services.runtime.errors import deadline_exceeded, exhausted, too_late
from services.runtime.front import QueuePolicy
from services.runtime.portable_batch import Caller, Pending
from services.runtime.service_time import ServiceTime

_SHORTEST_RETRY_S = 0.01


class PortableLine:
    """Bounded by rows. `model` is for messages. Times are seconds of the front's clock."""

    def __init__(self, model: str, policy: QueuePolicy) -> None:
        self._model, self._policy = model, policy
        self._waiting: list[Pending] = []
        self._running: list[tuple[float, int]] = []  # when each batch left, and its rows
        self._service_time = ServiceTime()
        self.closed = False

    @property
    def is_empty(self) -> bool:
        return not self._waiting

    @property
    def waiting_rows(self) -> int:
        return sum(request.rows for request in self._waiting)

    # ---- admission

    def check(self, request: Pending, now_s: float) -> None:
        """Raises ServingError where the request finds no room or cannot meet its deadline."""
        ahead = [other for other in self._waiting if other.level <= request.level]
        ahead_rows = sum(map(self._standing, ahead))
        self._check_room(request, ahead_rows, now_s)
        if request.deadline is not None:
            if request.deadline <= now_s:
                raise too_late()
            deadline = self._first_deadline(request, request.deadline, ahead, ahead_rows)
            self._check_deadline(request, ahead_rows, deadline, now_s)

    def _check_room(self, request: Pending, ahead_rows: int, now_s: float) -> None:
        capacity = self._policy.capacity_rows
        # What is larger than the queue is let in alone: it could never run otherwise.
        if ahead_rows and ahead_rows + self._standing(request) > capacity:
            raise exhausted(
                "QUEUE_FULL",
                f"model '{self._model}': {ahead_rows} of {capacity} rows wait, {request.rows} do not fit",
                retry_after_s=max(_SHORTEST_RETRY_S, self._wait_s(ahead_rows, 0, now_s)),
            )

    def _first_deadline(self, request: Pending, own: float, ahead: Sequence[Pending], ahead_rows: int) -> float:
        """The first deadline of the batch that a request would join, which it makes longer for all of it. Those count
        that are as patient as it is, give or take a batch: nobody is refused for who is in a hurry.
        """
        first, joined_rows = own, ahead_rows % self._policy.max_batch_rows
        least_s = own - request.arrived - self._service_time.of(self._policy.max_batch_rows)
        for other in reversed(ahead):
            if joined_rows <= 0:
                break
            joined_rows -= self._standing(other)
            if other.deadline is not None and other.deadline - other.arrived >= least_s:
                first = min(first, other.deadline)
        return first

    def _check_deadline(self, request: Pending, ahead_rows: int, deadline: float, now_s: float) -> None:
        # With nothing ahead a request is always let in, so that one slow batch is not remembered for ever.
        if not self._service_time.is_known or not (ahead_rows or self._running):
            return
        left_s = deadline - now_s
        needed_s = self._wait_s(ahead_rows, request.rows, now_s) + self._service_time.spare_s
        if needed_s > left_s:
            raise deadline_exceeded(
                f"{needed_s * 1e3:.0f} ms are needed behind what waits, {left_s * 1e3:.0f} ms are left",
                retry_after_s=max(_SHORTEST_RETRY_S, needed_s - left_s),
            )

    def _wait_s(self, ahead_rows: int, own_rows: int, now_s: float) -> float:
        """How long the workers take for what is ahead and for a request of `own_rows`, which joins the last batch."""
        limit, instances = self._policy.max_batch_rows, self._policy.instances
        left_s = [taken_s + self._service_time.of(rows) - now_s for taken_s, rows in self._running]
        free_in_s = max(0.0, min(left_s)) if len(left_s) >= instances else 0.0
        full, last_rows = divmod(ahead_rows + own_rows, limit)
        batches_s = full * self._service_time.of(limit) + (self._service_time.of(last_rows) if last_rows else 0.0)
        return free_in_s + batches_s / min(instances, full + 1)

    def _standing(self, request: Pending) -> int:
        """What a request takes up: of one that is larger than a batch, what leaves next."""
        return min(request.rows, self._policy.max_batch_rows)

    def push(self, request: Pending) -> list[Pending]:
        """Put a request at the end of its level. Those that have no room behind it come back: the newest of the last
        level first.
        """
        displaced: list[Pending] = []
        standing_rows = sum(map(self._standing, self._waiting)) + self._standing(request)
        while standing_rows > self._policy.capacity_rows and self._waiting and self._waiting[-1].level > request.level:
            displaced.append(self._waiting.pop())
            standing_rows -= self._standing(displaced[-1])
        self._stand(request)
        return displaced

    def _stand(self, request: Pending) -> None:
        behind = sum(1 for _ in takewhile(lambda other: other.level > request.level, reversed(self._waiting)))
        self._waiting.insert(len(self._waiting) - behind, request)

    # ---- what leaves

    def next(self, now_s: float) -> list[Pending]:
        """The requests that leave now: none while there are none or while they may wait for more."""
        batch = self._company(now_s)
        if not batch:
            return []
        self.remove(batch)
        self._running.append((now_s, min(sum(request.rows for request in batch), self._policy.max_batch_rows)))
        if len(batch) == 1 and batch[0].rows > (limit := self._policy.max_batch_rows):
            rest = batch[0]
            batch = [rest.split(limit)]
            self._stand(rest)
        return batch

    def wait_s(self, now_s: float) -> float | None:
        """How long a batch may still wait for company: as long as whoever came first may, and everybody's deadline lets
        it; None where nothing waits.
        """
        if not self._waiting:
            return None
        if not (max_wait_s := self._policy.max_wait_us / 1e6):
            return 0.0
        oldest = min(request.arrived for request in self._waiting)
        latest = [self._latest_start(request, request.deadline) for request in self._waiting if request.deadline]
        return max(0.0, min([oldest + max_wait_s, *latest]) - now_s)

    def _latest_start(self, request: Pending, deadline: float) -> float:
        """When a request has to leave for its deadline: half of its time is for what comes after, or more where a run
        takes more.
        """
        run_s = self._service_time.of(min(self.waiting_rows, self._policy.max_batch_rows)) + self._service_time.spare_s
        return deadline - max(run_s, (deadline - request.arrived) / 2)

    def _company(self, now_s: float) -> list[Pending]:
        requests: list[Pending] = []
        rows, limit = 0, self._policy.max_batch_rows
        complete = self.closed
        for request in self._waiting:
            if requests and not request.runs_with(requests[0]):
                if self._policy.in_order:
                    complete = True
                    break
                continue
            if requests and rows + request.rows > limit:
                complete = True
                break
            requests.append(request)
            rows += request.rows
        return requests if complete or rows >= limit or self.wait_s(now_s) == 0 else []

    def expired(self, now_s: float) -> list[Pending]:
        """Take out the requests whose deadline has passed."""
        late = [request for request in self._waiting if request.deadline is not None and request.deadline <= now_s]
        if late:
            self.remove(late)
        return late

    def remove(self, requests: Sequence[Pending]) -> None:
        leaving = set(map(id, requests))
        self._waiting = [request for request in self._waiting if id(request) not in leaving]

    def remove_of(self, caller: Caller) -> None:
        """What still waits of a caller's request."""
        self._waiting = [request for request in self._waiting if request.caller is not caller]

    def finished(self, rows: int, taken_s: float, compute_s: float | None) -> None:
        """A batch that left at `taken_s` runs no more. `compute_s`: how long it took; None of one that says nothing of
        how long others take.
        """
        self._running.remove((taken_s, rows))
        if compute_s is not None:
            self._service_time.add(rows, compute_s)
