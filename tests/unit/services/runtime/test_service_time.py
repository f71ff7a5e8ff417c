"""What is learnt of a batch's time from those that ran."""

import itertools

import pytest

from services.runtime.service_time import ServiceTime


def test_the_time_of_a_batch_follows_its_rows() -> None:
    time = ServiceTime()
    for rows in itertools.islice(itertools.cycle((4, 8, 16, 32)), 40):
        time.add(rows, 0.005 + 0.01 * rows)
    assert (time.of(1), time.of(32)) == pytest.approx((0.015, 0.325))
    assert time.spare_s < 0.02


def test_batches_of_one_size_have_one_time() -> None:
    time = ServiceTime()
    time.add(4, 0.1)
    assert (time.of(1), time.of(32), time.spare_s) == (0.1, 0.1, 0.0)


def test_no_fit_falls() -> None:
    time = ServiceTime()
    time.add(1, 0.2)
    time.add(32, 0.1)
    assert time.of(1) == time.of(32)


def test_what_is_to_spare_are_four_mean_deviations() -> None:
    time = ServiceTime()
    time.add(1, 0.1)
    time.add(1, 0.2)
    assert time.spare_s == pytest.approx(4 * 0.2 * 0.1)
