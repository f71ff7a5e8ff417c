"""Where a batch's time goes: each stage gets what passed in it, and every batch is counted once."""

import threading

import pytest

from services.runtime.stages import BATCH_WAIT, COMPUTE, POSTPROCESS, PREPROCESS, StageClock, StageCounts
from tests.unit.services.runtime.clocks import clock_of


def batch(*, waited_us: int = 0, preprocess_us: int = 0, compute_us: int = 0, postprocess_us: int = 0) -> list[int]:
    instants_us = [0, preprocess_us, preprocess_us + compute_us, preprocess_us + compute_us + postprocess_us]
    clock = StageClock(waited_us * 1000, clock_of(*(instant * 1000 for instant in instants_us)))
    for stage in (PREPROCESS, COMPUTE, POSTPROCESS):
        clock.end(stage)
    return clock.spent_ns


def test_a_stage_is_what_has_passed_since_the_one_before_it() -> None:
    counts = StageCounts()
    counts.add(1, 1, batch(waited_us=7, preprocess_us=20, compute_us=300, postprocess_us=40))
    found = counts.read("m", "1").histograms
    assert [found[stage].sum_us for stage in (BATCH_WAIT, PREPROCESS, COMPUTE, POSTPROCESS)] == [7, 20, 300, 40]


def test_a_stage_that_is_come_to_again_goes_on_from_where_it_was() -> None:
    clock = StageClock(0, clock_of(0, 10, 30, 60, 100))
    for stage in (PREPROCESS, COMPUTE, PREPROCESS, COMPUTE):
        clock.end(stage)
    assert (clock.spent_ns[PREPROCESS], clock.spent_ns[COMPUTE]) == (10 + 30, 20 + 40)


def test_a_batch_counts_once_for_each_of_its_requests() -> None:
    counts = StageCounts()
    counts.add(12, 3, batch(compute_us=30))
    compute = counts.read("m", "1").histograms[COMPUTE]
    assert (sum(compute.counts), compute.sum_us) == (3, 90)
    assert compute.counts[compute.bounds_us.index(50)] == 3


@pytest.mark.parametrize(("duration_us", "place"), [(0, 0), (5, 0), (6, 1), (5_000_000, -2), (5_000_001, -1)])
def test_a_time_at_a_bound_counts_below_it(duration_us: int, place: int) -> None:
    counts = StageCounts()
    counts.add(1, 1, batch(compute_us=duration_us))
    assert counts.read("m", "1").histograms[COMPUTE].counts[place] == 1


def test_batches_are_told_by_their_size() -> None:
    counts = StageCounts()
    for rows in (4, 1, 4):
        counts.add(rows, 1, batch(compute_us=10, postprocess_us=2))
    found = counts.read("m", "1").by_rows
    assert {rows: totals.batches for rows, totals in found.items()} == {1: 1, 4: 2}
    assert (found[4].spent_ns[COMPUTE], found[4].spent_ns[POSTPROCESS]) == (20_000, 4_000)


def test_no_batch_is_lost_between_threads() -> None:
    counts = StageCounts()

    def work() -> None:
        for _ in range(3000):
            counts.add(2, 1, batch(compute_us=10))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = counts.read("m", "1")
    assert (found.by_rows[2].batches, sum(found.histograms[COMPUTE].counts)) == (12_000, 12_000)


def test_what_was_read_is_not_forgotten() -> None:
    counts = StageCounts()
    for _ in range(2):
        counts.add(1, 1, batch(compute_us=10))
        counts.read("m", "1")
    assert counts.read("m", "1").histograms[COMPUTE].sum_us == 20
