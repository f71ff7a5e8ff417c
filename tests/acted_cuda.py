"""What is below ONNX Runtime on a card that is acted out: its arena, a thread's buffers and graphs, the CUDA runtime.

Each does what ONNX Runtime's source (1.28 to 1.31) and its issues say of the real one; none was compared with a card.
An arena never merges or gives back regions by itself, and its count of what is left is unsigned. A thread's buffer of
ones is freed and made anew where more rows come, and a graph reads the one that it was captured with. An error stays
with its thread until it is asked for. A thread's calls are card 0's until it says otherwise. Who frees while a graph is
captured spoils it.
"""

import ctypes
import threading
from dataclasses import dataclass, field

NO_ROOM = "Available memory of {} is smaller than requested bytes of {}"
OUT_OF_MEMORY = 2
# Of TensorRT's options those that are switches and that the service sets.
_SWITCHES = (
    "trt_fp16_enable",
    "trt_bf16_enable",
    "trt_int8_enable",
    "trt_engine_cache_enable",
    "trt_timing_cache_enable",
)


class ArenaFullError(Exception):
    """The text is ONNX Runtime's."""


@dataclass(slots=True)
class Arena:
    """Of a session. `limit` 0: none. Weights count and are taken whatever the limit."""

    limit: int
    total: int
    free: list[int] = field(default_factory=list)

    def take(self, size: int) -> int:
        """A region of so many bytes or more."""
        fitting = sorted(region for region in self.free if region >= size)
        if fitting:
            self.free.remove(fitting[0])
            return fitting[0]
        available = (self.limit - self.total) % 2**64
        if self.limit and size > available:
            raise ArenaFullError(NO_ROOM.format(available, size))
        self.total += size
        return size

    def shrink(self) -> None:
        self.total -= sum(self.free)
        self.free.clear()


class Ones(threading.local):
    """A thread's buffer in a session, and the graphs that were captured on it, each with the buffer that it reads."""

    def __init__(self) -> None:
        self.rows = 0
        self.buffer = object()
        self.graphs: dict[str, object] = {}

    def of(self, rows: int) -> object:
        if rows > self.rows:
            self.rows, self.buffer = rows, object()
        return self.buffer

    def reads_freed_memory(self, graph: str) -> bool:
        return graph in self.graphs and self.graphs[graph] is not self.buffer


class _Thread(threading.local):
    def __init__(self) -> None:
        self.card, self.error = 0, 0


class CudaRuntime:
    """The functions that are called of it. `can_lock`: whether pages can be locked; `contexts` are on these cards."""

    def __init__(self) -> None:
        self.thread = _Thread()
        self.can_lock = True
        self.contexts: set[int] = set()
        self.capturing: int | None = None  # the thread that does
        self.freed: list[str] = []
        self.spoilt: list[str] = []  # what of it other threads did meanwhile

    def cudaSetDevice(self, card: int) -> int:
        self.thread.card = card
        self.contexts.add(card)
        return 0

    def cudaMemGetInfo(self, free: object, total: object) -> int:
        self.contexts.add(self.thread.card)
        ctypes.cast(free, ctypes.POINTER(ctypes.c_size_t))[0] = 80 << 30
        return 0

    def cudaHostRegister(self, address: object, size: object, flags: int) -> int:
        self.contexts.add(self.thread.card)
        self.thread.error = 0 if self.can_lock else OUT_OF_MEMORY
        return self.thread.error

    def cudaHostUnregister(self, address: object) -> int:
        self.frees("page-locked memory")
        return 0

    def cudaGetLastError(self) -> int:
        error, self.thread.error = self.thread.error, 0
        return error

    def frees(self, what: str) -> None:
        self.freed.append(what)
        if self.capturing not in {None, threading.get_ident()}:
            self.spoilt.append(what)


def check_tensorrt(options: dict[str, str]) -> None:
    """Raise what ONNX Runtime raises of a switch that is not spelled as it wants."""
    for key in _SWITCHES:
        if options.get(key, "False") not in {"True", "true", "False", "false"}:
            raise RuntimeError(f"The value for the key '{key}' should be 'True' or 'False'. Default value is 'False'.")
