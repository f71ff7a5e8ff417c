"""A wheel of the native front that is not the one that the services were written for."""

import pytest

from services.runtime.native_interface import INTERFACE, check_interface


def test_the_wheel_of_this_version_is_taken() -> None:
    check_interface(INTERFACE)


@pytest.mark.parametrize("installed", [0, INTERFACE - 1, INTERFACE + 1])
def test_an_older_or_newer_wheel_is_refused_in_one_line_that_says_what_to_do(installed: int) -> None:
    with pytest.raises(OSError, match=r"make front") as raised:
        check_interface(installed)
    assert f"interface {installed}" in str(raised.value)
    assert "\n" not in str(raised.value)
