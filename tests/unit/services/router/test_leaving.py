from services.router.watch import leaving

OLD = ("10.0.0.1:8510", "10.0.0.2:8510")
NEW = "10.0.0.3:8510"


def test_an_endpoint_that_the_name_has_no_more_goes_where_another_is_up() -> None:
    assert leaving(OLD, frozenset(OLD[:1]), frozenset(OLD)) == {OLD[1]}


def test_endpoints_that_were_all_replaced_stay_until_a_new_one_is_up() -> None:
    watched = (*OLD, NEW)
    assert leaving(watched, frozenset({NEW}), frozenset(OLD)) == frozenset()
    assert leaving(watched, frozenset({NEW}), frozenset(watched)) == set(OLD)


def test_nothing_leaves_where_the_name_has_what_is_watched() -> None:
    assert leaving(OLD, frozenset({*OLD, NEW}), frozenset(OLD)) == frozenset()
