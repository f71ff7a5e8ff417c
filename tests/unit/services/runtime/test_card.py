"""The CUDA runtime's calls, to a library that is acted out."""

import ctypes
import gc
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from services.runtime.card import Staging, card_memory_mb, cuda_library, use_card

FLOAT32 = np.dtype(np.float32)


@dataclass
class ActedLibrary:
    """Keeps what is locked; answers every call with `status`, and keeps it as the error until it is asked for."""

    status: int = 0
    error: int = 0
    card: int = 0
    locked: dict[int | None, int] = field(default_factory=dict)

    def cudaSetDevice(self, card: int) -> int:
        self.card, self.error = card, self.status
        return self.status

    def cudaMemGetInfo(self, free: object, total: object) -> int:
        ctypes.cast(free, ctypes.POINTER(ctypes.c_size_t))[0] = 3 << 20
        self.error = self.status
        return self.status

    def cudaHostRegister(self, address: ctypes.c_void_p, size: ctypes.c_size_t, flags: int) -> int:
        if self.status == 0:
            self.locked[address.value] = size.value
        self.error = self.status
        return self.status

    def cudaHostUnregister(self, address: ctypes.c_void_p) -> int:
        del self.locked[address.value]
        self.error = self.status
        return self.status

    def cudaGetLastError(self) -> int:
        error, self.error = self.error, 0
        return error


@pytest.mark.parametrize("shape", [(4, 3), (1,), (0, 7)])
def test_staging_is_memory_of_that_shape_on_pages_of_its_own(shape: tuple[int, ...]) -> None:
    staging = Staging(shape, FLOAT32, None)
    staging.array[...] = 5
    assert (staging.array.shape, staging.array.dtype) == (shape, FLOAT32)
    assert staging.array.ctypes.data % 4096 == 0
    assert not staging.is_locked


def test_pages_are_locked_for_as_long_as_the_staging_is_there() -> None:
    library = ActedLibrary()
    staging = Staging((4, 3), FLOAT32, library)
    assert staging.is_locked
    assert library.locked == {staging.array.ctypes.data: 48}
    del staging
    gc.collect()
    assert library.locked == {}


def test_pages_that_cannot_be_locked_are_used_as_they_are() -> None:
    library = ActedLibrary(status=2)
    staging = Staging((4, 3), FLOAT32, library)
    assert (staging.is_locked, staging.array.shape) == (False, (4, 3))


def test_what_is_free_on_a_card_is_told_in_mib() -> None:
    assert card_memory_mb(ActedLibrary(), 0) == 3


@pytest.mark.parametrize("library", [None, ActedLibrary(status=100)], ids=["no library", "no card"])
def test_without_a_card_nothing_is_known_of_its_memory(library: ActedLibrary | None) -> None:
    assert card_memory_mb(library, 0) is None


def lock(library: ActedLibrary) -> None:
    library.status = 2
    Staging((4, 3), FLOAT32, library)


def unlock(library: ActedLibrary) -> None:
    staging = Staging((4, 3), FLOAT32, library)
    library.status = 2
    del staging
    gc.collect()


def ask_memory(library: ActedLibrary) -> None:
    library.status = 2
    card_memory_mb(library, 0)


def choose(library: ActedLibrary) -> None:
    library.status = 2
    use_card(library, 1)


@pytest.mark.parametrize("call", [lock, unlock, ask_memory, choose])
def test_a_call_that_failed_leaves_no_error_for_the_next_kernel(call: Callable[[ActedLibrary], None]) -> None:
    library = ActedLibrary()
    call(library)
    assert (library.status, library.error) == (2, 0)


def test_a_card_is_chosen_where_there_is_a_library() -> None:
    library = ActedLibrary()
    assert (use_card(library, 3), library.card, use_card(None, 3)) == (True, 3, False)


def test_a_library_that_is_not_here_is_none() -> None:
    assert cuda_library("0.0") is None
