"""How a card's memory is divided, decided without one."""

from collections.abc import Callable

import pytest

from services.runtime.device_memory import Demand, DeviceMemoryError, shares


def demand(model: str, share_mb: int = 0, instances: int = 2, versions: int = 1) -> Demand:
    return Demand(model, share_mb, instances, versions)


def free(mb: int | None) -> Callable[[int], int | None]:
    return lambda _: mb


def test_named_shares_are_what_is_had() -> None:
    assert shares([demand("a", 3000), demand("b", 5000)], (0,), 8000, free(None)) == {"a": 3000, "b": 5000}


def test_who_names_none_divides_what_is_left_of_the_processs_part() -> None:
    found = shares([demand("a", 3000), demand("b"), demand("c", versions=4)], (0,), 8000, free(None))
    assert found == {"a": 3000, "b": 1000, "c": 1000}


def test_where_the_process_has_no_part_who_names_none_has_no_limit() -> None:
    assert shares([demand("a", 3000), demand("b")], (0,), 0, free(8000)) == {"a": 3000, "b": 0}


def test_shares_that_exceed_the_processs_part_are_refused_with_the_numbers() -> None:
    with pytest.raises(DeviceMemoryError) as raised:
        shares([demand("a", 3000), demand("b", 5001)], (0,), 8000, free(None))
    assert str(raised.value) == (
        "device_memory_mb: card 0 has 8000 MiB for this process, its models want 8001: a 3000, b 5001"
    )


def test_without_a_part_shares_are_held_against_what_is_free() -> None:
    with pytest.raises(DeviceMemoryError, match="card 0 has 4000 MiB for this process, its models want 5000: a 5000"):
        shares([demand("a", 5000)], (0,), 0, free(4000))


def test_each_version_that_is_served_has_the_share() -> None:
    with pytest.raises(DeviceMemoryError, match="want 9000: a 9000"):
        shares([demand("a", 3000, versions=3)], (0,), 8000, free(None))


def test_who_is_left_nothing_is_refused() -> None:
    with pytest.raises(DeviceMemoryError, match="want 8000: a 8000, b what is left"):
        shares([demand("a", 8000), demand("b")], (0,), 8000, free(None))


def test_a_card_is_only_held_against_the_models_that_run_there() -> None:
    one_card_each = [demand("a", 8000, instances=1), demand("b", instances=2)]
    with pytest.raises(DeviceMemoryError, match="card 0"):
        shares(one_card_each, (0, 1), 8000, free(None))
    assert shares([demand("a", 7000, instances=1), demand("b", instances=2)], (0, 1), 8000, free(None))["b"] == 1000


def test_where_nothing_is_known_of_the_card_nothing_is_refused() -> None:
    assert shares([demand("a", 80_000)], (0,), 0, free(None)) == {"a": 80_000}


def test_a_model_that_names_no_share_is_not_held_against_what_is_free() -> None:
    assert shares([demand("a")], (0,), 0, free(0)) == {"a": 0}
