"""What ONNX Runtime's Python does not offer of a card: page-locked host memory, how much memory is free, and which card
a thread's calls are for.

They are the CUDA runtime's own, called in the library that the CUDA execution provider has brought into the process;
nothing is linked or installed for it. From page-locked memory a card copies by itself; from other memory the driver
copies once more. Without the library, or where a call fails, there is no answer: copies are slower and nothing is known
of the memory, but everything goes on. A call that failed is not left as the thread's last error, which ONNX Runtime
takes for its own after the next kernel.

https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__MEMORY.html
"""

import ctypes
import mmap
import weakref
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from services.runtime.front import MEBIBYTE, Array

_SUCCESS = 0
_PORTABLE = 1  # cudaHostRegisterPortable: locked for every card


class CudaLibrary(Protocol):
    """The functions that are called, as ctypes offers them; each returns a cudaError_t."""

    def cudaSetDevice(self, card: int, /) -> int: ...  # noqa: N802
    def cudaMemGetInfo(self, free: object, total: object, /) -> int: ...  # noqa: N802
    def cudaHostRegister(self, address: ctypes.c_void_p, size: ctypes.c_size_t, flags: int, /) -> int: ...  # noqa: N802
    def cudaHostUnregister(self, address: ctypes.c_void_p, /) -> int: ...  # noqa: N802
    def cudaGetLastError(self) -> int: ...  # noqa: N802


def cuda_library(cuda_version: str) -> CudaLibrary | None:
    """The CUDA runtime of that version, 13.0 for example; None where it is not here."""
    try:
        found: CudaLibrary = ctypes.CDLL(f"libcudart.so.{cuda_version.split('.', maxsplit=1)[0]}")
    except OSError:
        return None
    return found


def use_card(library: CudaLibrary | None, card: int) -> bool:
    """Make it the card of this thread's calls, which else are card 0's; whether that could be done."""
    return library is not None and _succeeds(library, library.cudaSetDevice(card))


def card_memory_mb(library: CudaLibrary | None, card: int) -> int | None:
    """What is free on a card now; None where it cannot be asked."""
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    if library is None or not use_card(library, card):
        return None
    if not _succeeds(library, library.cudaMemGetInfo(ctypes.byref(free), ctypes.byref(total))):
        return None
    return free.value // MEBIBYTE


class Staging:
    """Host memory of a fixed address that a card copies from; `array` is it, `is_locked` whether its pages are."""

    __slots__ = ("__weakref__", "array", "is_locked")

    def __init__(self, shape: Sequence[int], dtype: np.dtype[np.generic], library: CudaLibrary | None) -> None:
        count = int(np.prod(shape, dtype=np.int64))
        # Pages of its own: two registrations may not share one.
        memory = mmap.mmap(-1, max(1, count * dtype.itemsize))
        self.array: Array = np.frombuffer(memory, dtype, count).reshape(shape)
        address = ctypes.c_void_p(self.array.ctypes.data)
        size = ctypes.c_size_t(len(memory))
        self.is_locked = library is not None and _succeeds(library, library.cudaHostRegister(address, size, _PORTABLE))
        if library is not None and self.is_locked:
            # Before the memory itself goes, and not at the process's end, when the driver may have gone.
            weakref.finalize(self, _unlock, library, address).atexit = False


def _unlock(library: CudaLibrary, address: ctypes.c_void_p) -> None:
    _succeeds(library, library.cudaHostUnregister(address))


def _succeeds(library: CudaLibrary, status: int) -> bool:
    """Whether a call that answered so did what it should; its error is taken off the thread."""
    if status != _SUCCESS:
        library.cudaGetLastError()
    return status == _SUCCESS
