"""The portable queue by a clock that the test holds. What a caller sees is in tests/contract."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from services.runtime.errors import Cause, ServingError
from services.runtime.front import QueuePolicy, QueueSpec, Signature
from services.runtime.portable_batch import Answer, Pending, PortableBatch
from services.runtime.portable_queue import PortableQueue

METHOD = "/argosy.v1.TextService/Embed"


@dataclass
class Bench:
    """A queue, its clock and its callers."""

    loop: asyncio.AbstractEventLoop
    now_s: float = 1000.0
    answers: list[tuple[Pending, Answer]] = field(default_factory=list)
    deliveries: int = 0

    def queue(self, **policy: int) -> PortableQueue:
        settings = QueuePolicy(**({"max_batch_rows": 4, "capacity_rows": 8} | policy))
        spec = QueueSpec("m", "1", (), Signature((), ()), settings, "cpu")
        return PortableQueue(spec, lambda: self.now_s, self.deliver, 1 << 20)

    def deliver(self, answers: Sequence[tuple[Pending, Answer]]) -> None:
        self.deliveries += 1
        self.answers += answers

    def request(self, rows: int = 1, timeout_s: float | None = None, method: str = METHOD) -> Pending:
        deadline = None if timeout_s is None else self.now_s + timeout_s
        return Pending(method, b"", rows, self.now_s, deadline, self.loop.create_future())

    def admit(self, queue: PortableQueue, *requests: Pending) -> tuple[Pending, ...]:
        for request in requests:
            assert queue.admit(request)
        return requests

    def reasons(self) -> list[str]:
        return [answer.outcome.reason for _, answer in self.answers if isinstance(answer.outcome, ServingError)]


@pytest.fixture
def bench() -> Iterator[Bench]:
    loop = asyncio.new_event_loop()
    yield Bench(loop)
    loop.close()


def run(batch: PortableBatch | None) -> PortableBatch:
    assert batch is not None
    for index in range(len(batch.requests)):
        batch.reply(index, b"answer")
    return batch


def learn_service_time(bench: Bench, queue: PortableQueue, service_time_s: float) -> None:
    bench.admit(queue, bench.request())
    batch = queue.take()
    bench.now_s += service_time_s
    run(batch)


def test_a_deadline_that_has_passed_is_refused_on_arrival(bench: Bench) -> None:
    queue = bench.queue()
    with pytest.raises(ServingError, match="had passed when the request arrived") as caught:
        queue.admit(bench.request(timeout_s=0))
    assert caught.value.cause is Cause.DEADLINE


def test_the_measured_service_time_decides_who_can_be_in_time(bench: Bench) -> None:
    queue = bench.queue(max_batch_rows=1)
    learn_service_time(bench, queue, 0.5)
    bench.admit(queue, bench.request(), bench.request())
    with pytest.raises(ServingError, match="1500 ms are needed behind what waits, 1499 ms are left"):
        queue.admit(bench.request(timeout_s=1.499))
    bench.admit(queue, bench.request(timeout_s=1.501))


def test_two_instances_halve_what_is_ahead(bench: Bench) -> None:
    queue = bench.queue(max_batch_rows=1, instances=2)
    learn_service_time(bench, queue, 0.5)
    bench.admit(queue, bench.request(), bench.request(), bench.request(timeout_s=1.001))


def test_a_service_time_that_varies_leaves_less_to_chance(bench: Bench) -> None:
    queue = bench.queue()
    for service_time_s in (0.1, 0.2):
        learn_service_time(bench, queue, service_time_s)
    bench.admit(queue, bench.request(rows=4))
    # The mean is 120 ms, the deviation 20 ms: one batch ahead, its own, and four deviations.
    with pytest.raises(ServingError, match="320 ms are needed behind what waits, 319 ms are left"):
        queue.admit(bench.request(timeout_s=0.319))
    bench.admit(queue, bench.request(timeout_s=0.321))


def test_a_request_that_would_make_its_batch_late_for_another_is_refused(bench: Bench) -> None:
    queue = bench.queue(max_batch_rows=4)
    for rows in (1, 4, 1, 4, 1, 4) * 10:
        bench.admit(queue, bench.request(rows))
        batch = queue.take()
        bench.now_s += 0.1 * rows
        run(batch)
    bench.admit(queue, bench.request(rows=4))
    running = queue.take()
    bench.admit(queue, bench.request(timeout_s=0.65))
    with pytest.raises(ServingError, match="700 ms are needed behind what waits, 650 ms are left"):
        queue.admit(bench.request(rows=2, timeout_s=0.66))
    run(running)


def test_nobody_is_refused_for_who_is_in_a_hurry(bench: Bench) -> None:
    queue = bench.queue(max_batch_rows=4)
    for rows in (1, 4) * 10:
        bench.admit(queue, bench.request(rows))
        batch = queue.take()
        bench.now_s += 0.1 * rows
        run(batch)
    bench.admit(queue, bench.request(rows=4))
    running = queue.take()
    bench.admit(queue, bench.request(timeout_s=0.65), bench.request(rows=2, timeout_s=5))
    run(running)


def test_what_runs_counts_for_what_is_left_of_it(bench: Bench) -> None:
    queue = bench.queue(max_batch_rows=1)
    learn_service_time(bench, queue, 1.0)
    bench.admit(queue, bench.request())
    running = queue.take()
    bench.now_s += 0.5
    with pytest.raises(ServingError, match="1500 ms are needed"):
        queue.admit(bench.request(timeout_s=1.4))
    run(running)


def test_one_slow_batch_does_not_refuse_for_ever(bench: Bench) -> None:
    queue = bench.queue()
    learn_service_time(bench, queue, 100.0)
    bench.admit(queue, bench.request(timeout_s=0.01))


def test_a_request_that_expires_in_the_queue_is_answered_and_not_taken(bench: Bench) -> None:
    queue = bench.queue()
    late, in_time = bench.admit(queue, bench.request(timeout_s=1), bench.request(timeout_s=3))
    bench.now_s += 2
    batch = run(queue.take())
    assert batch.requests == [in_time]
    assert bench.reasons() == ["DEADLINE_EXCEEDED"]
    assert bench.answers[0][0] is late
    assert bench.answers[0][1].queue_us == 2_000_000


def test_nothing_is_delivered_for_nothing(bench: Bench) -> None:
    queue = bench.queue()
    bench.admit(queue, bench.request(), bench.request())
    run(queue.take())
    assert bench.deliveries == 1


def test_times_are_told_in_microseconds(bench: Bench) -> None:
    queue = bench.queue()
    bench.admit(queue, bench.request(rows=3))
    bench.now_s += 0.25
    batch = queue.take()
    bench.now_s += 0.5
    run(batch)
    ((_, answer),) = bench.answers
    assert (answer.queue_us, answer.compute_us, answer.batch_rows) == (250_000, 500_000, 3)
    stats = queue.stats()
    assert (stats.queue_time.sum_us, stats.compute_time.sum_us) == (250_000, 500_000)
    assert stats.queue_time.counts[stats.queue_time.bounds_us.index(250_000)] == 1


def test_company_is_waited_for_no_longer_than_max_wait(bench: Bench) -> None:
    queue = bench.queue(max_wait_us=1_000_000)
    bench.admit(queue, bench.request(), bench.request())
    bench.now_s += 1.0
    assert len(run(queue.take()).requests) == 2


def test_a_batch_that_the_next_request_does_not_fit_leaves_at_once(bench: Bench) -> None:
    queue = bench.queue(max_wait_us=60_000_000, max_batch_rows=4)
    bench.admit(queue, bench.request(rows=3), bench.request(rows=2))
    assert list(run(queue.take()).row_counts) == [3]


def test_a_closed_queue_lets_nothing_in_and_waits_for_no_company(bench: Bench) -> None:
    queue = bench.queue(max_wait_us=60_000_000)
    bench.admit(queue, bench.request())
    queue.close()
    assert queue.admit(bench.request()) is False
    assert run(queue.take()).rows == 1
    assert queue.take() is None


def test_requests_that_cannot_run_together_keep_their_order(bench: Bench) -> None:
    queue = bench.queue()
    first, other, second = bench.admit(queue, bench.request(), bench.request(method="/other"), bench.request())
    assert run(queue.take()).requests == [first, second]
    assert run(queue.take()).requests == [other]


def test_rows_that_wait_are_counted_through_everything(bench: Bench) -> None:
    queue = bench.queue(capacity_rows=20)
    gone, *_ = bench.admit(queue, *(bench.request(rows=2) for _ in range(5)))
    assert queue.stats().waiting_rows == 10
    queue.withdraw(gone)
    assert queue.stats().waiting_rows == 8
    run(queue.take())
    assert queue.stats().waiting_rows == 4
