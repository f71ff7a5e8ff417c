"""Whether a service may be sent traffic, told to its front: what was found out last is what holds.

Changes come from any thread. Finding out and telling are one step, or the thread that looked first could tell last.
"""

import threading
from collections.abc import Callable, Sequence


class Readiness:
    """`ready` says how things stand now; `tell` is told of each of `names` whether it serves."""

    def __init__(self, names: Sequence[str], ready: Callable[[], bool], tell: Callable[[str, bool], None]) -> None:
        self._names, self._ready, self._tell = names, ready, tell
        self._telling = threading.Lock()

    def changed(self) -> None:
        """Something has changed, maybe not the answer. Not to be called under a lock that `ready` takes."""
        with self._telling:
            ready = self._ready()
            for name in self._names:
                self._tell(name, ready)
