"""Lets a CUDA graph be captured while nothing else of this process asks anything of a card.

ONNX Runtime captures in CUDA's global mode, in which an allocation, a copy or a release by any other thread fails, and
the capture with it. So runs and loads pass a gate together, a capture alone: it waits for those inside, and whoever
comes meanwhile waits for it. A load takes seconds, of TensorRT minutes, so a capture waits for loads before it closes
the gate to runs. A capture takes a few runs' time, once a shape; without CUDA graphs nobody ever waits here.

What goes with a session is let go of inside too (`discard`), and by a thread that is inside already as it leaves.

https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__STREAM.html, cudaStreamBeginCapture
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class CaptureGate:
    """One a process. Nobody passes it twice on the same way."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._loads = 0
        self._runs = 0
        self._captures_to_come = 0
        self._is_captured = False
        self._of_thread = threading.local()
        self._discarded: deque[list[object]] = deque()

    @contextmanager
    def together(self) -> Iterator[None]:
        """With others: a run."""
        with self._inside():
            with self._changed:
                self._changed.wait_for(lambda: not self._is_captured)
                self._runs += 1
            try:
                with self._letting_go():
                    yield
            finally:
                with self._changed:
                    self._runs -= 1
                    self._changed.notify_all()

    @contextmanager
    def loading(self) -> Iterator[None]:
        """With others, for long: a capture that waits for this keeps no run waiting, only the next load."""
        with self._inside():
            with self._changed:
                self._changed.wait_for(lambda: not (self._is_captured or self._captures_to_come))
                self._loads += 1
            try:
                with self._letting_go():
                    yield
            finally:
                with self._changed:
                    self._loads -= 1
                    self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """With nobody else inside."""
        with self._inside():
            with self._changed:
                self._captures_to_come += 1
                self._changed.wait_for(lambda: not (self._is_captured or self._loads))
                self._captures_to_come -= 1
                self._is_captured = True
                self._changed.wait_for(lambda: self._runs == 0)
            try:
                with self._letting_go():
                    yield
            finally:
                with self._changed:
                    self._is_captured = False
                    self._changed.notify_all()

    def discard(self, held: list[object]) -> None:
        """Empty the list, whose parts free what they have of a card, while nothing is captured."""
        self._discarded.append(held)
        if not getattr(self._of_thread, "is_inside", False):
            with self.together():
                pass

    @contextmanager
    def _inside(self) -> Iterator[None]:
        """While the thread is on its way in, inside, or on its way out."""
        self._of_thread.is_inside = True
        try:
            yield
        finally:
            self._of_thread.is_inside = False
            if self._discarded:  # by garbage collection, say, since the thread let go
                with self.together():
                    pass

    @contextmanager
    def _letting_go(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._let_go()

    def _let_go(self) -> None:
        while True:
            try:
                held = self._discarded.popleft()
            except IndexError:  # asked for before, another could take the last one meanwhile
                return
            held.clear()
