"""A service's readiness, as threads change it."""

import threading

from services.runtime.readiness import Readiness


def test_every_name_is_told_how_things_stand() -> None:
    told: dict[str, bool] = {}
    Readiness(("", "text"), lambda: True, told.__setitem__).changed()
    assert told == {"": True, "text": True}


def test_a_thread_that_looked_before_a_change_does_not_tell_after_it() -> None:
    told: dict[str, bool] = {}
    is_ready = False
    looked, go_on = threading.Event(), threading.Event()

    def ready() -> bool:
        found = is_ready
        if not found:
            looked.set()
            go_on.wait(10)
        return found

    readiness = Readiness(("",), ready, told.__setitem__)
    slow = threading.Thread(target=readiness.changed)
    slow.start()
    assert looked.wait(10)
    is_ready = True
    later = threading.Thread(target=readiness.changed)
    later.start()
    later.join(0.1)  # it would have told by now, had it not to wait for the one before it
    go_on.set()
    slow.join(10)
    later.join(10)
    assert told == {"": True}
