"""Whether the native front's wheel that is installed is the one that these services were written for.

The wheel is built apart and may be older or newer than what calls it, which would show as a traceback in the middle of
a start. So both have a number, raised by one with every change of what crosses between them.
"""

# As INTERFACE in front/src/python.rs.
INTERFACE = 7


def check_interface(installed: int) -> None:
    """Raise OSError that says what to do where the wheel's number is another."""
    if installed != INTERFACE:
        raise OSError(
            f"the native front that is installed has interface {installed}, these services need {INTERFACE}:"
            " build it anew (make front), or serve with --front portable"
        )
