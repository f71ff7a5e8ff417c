"""Lets a CUDA graph be captured while nothing else of this process asks anything of a card.

ONNX Runtime captures in CUDA's global mode, in which an allocation or a copy by any other thread fails, and the capture
with it. So runs and loads pass a gate together, a capture alone: it waits for those inside, and whoever comes meanwhile
waits for it. A capture takes a few runs' time, once a shape; without CUDA graphs nobody ever waits here.

https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__STREAM.html, cudaStreamBeginCapture
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class CaptureGate:
    """One a process. Nobody passes it twice on the same way."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._is_captured = False

    @contextmanager
    def together(self) -> Iterator[None]:
        """With others."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_captured)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """With nobody else inside."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_captured)
            self._is_captured = True
            self._changed.wait_for(lambda: self._inside == 0)
        try:
            yield
        finally:
            with self._changed:
                self._is_captured = False
                self._changed.notify_all()
