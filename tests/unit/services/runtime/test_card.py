"""The CUDA runtime's calls, to a library that is acted out."""

import ctypes
import gc
from dataclasses import dataclass, field

import numpy as np
import pytest

from services.runtime.card import Staging, card_memory_mb, cuda_library

FLOAT32 = np.dtype(np.float32)


@dataclass
class ActedLibrary:
    """Keeps what is locked; answers every call with `status`."""

    status: int = 0
    locked: dict[int | None, int] = field(default_factory=dict)

    def cudaSetDevice(self, card: int) -> int:
        return self.status

    def cudaMemGetInfo(self, free: object, total: object) -> int:
        ctypes.cast(free, ctypes.POINTER(ctypes.c_size_t))[0] = 3 << 20
        return self.status

    def cudaHostRegister(self, address: ctypes.c_void_p, size: ctypes.c_size_t, flags: int) -> int:
        if self.status == 0:
            self.locked[address.value] = size.value
        return self.status

    def cudaHostUnregister(self, address: ctypes.c_void_p) -> int:
        del self.locked[address.value]
        return 0


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


def test_a_library_that_is_not_here_is_none() -> None:
    assert cuda_library("0.0") is None
