"""What ends a program that has started others: Ctrl-C, SIGTERM, and the end of its terminal.

The others have process groups of their own, so that no signal of a terminal reaches them: who started them ends them.
"""

import asyncio
import signal
from collections.abc import Callable


def on_end(act: Callable[[], object]) -> None:
    """Have the running loop call `act` at each signal to end. A SIGHUP that `nohup` has ignored stays ignored."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, act)
    loop.add_signal_handler(signal.SIGTERM, act)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, act)


class Ending:
    """The end of the task that makes it: the first signal cancels it, so that it drains, and the next one kills."""

    def __init__(self, kill: Callable[[], object]) -> None:
        self._block = asyncio.current_task()
        self._kill = kill
        self._begun = False
        on_end(self._on_signal)

    def begin(self) -> None:
        """It drains by itself: a signal from now on would cut that short, so it kills."""
        self._begun = True

    def _on_signal(self) -> None:
        if self._begun:
            self._kill()
        elif self._block is not None:
            self._begun = True
            self._block.cancel()
