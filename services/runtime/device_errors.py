"""What an error of ONNX Runtime says of the device, told by the number in its text; its type says nothing.

Lost: the context answers nothing any more, whatever is asked, and only a new process has another. Full: a smaller batch
may fit. Anything else is the graph's or the request's own, and a new process would meet it again. A number that is not
known to be harmless counts as lost, since the next call on a lost context tells another one.

A library that finds no memory as it starts says no more than that it did not start, as it would on a lost card: that
counts as full, for such a run is tried again, and on a lost card CUDA itself then says what it is.

https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html, and the status types of cuBLAS and cuDNN
"""

import re

_FAILURE = re.compile(r"\b(CUDA|CUDNN|CUBLAS|CUBLASLT|CUFFT) failure (\d+)")

# ONNX Runtime's arena, which has a limit of its own, and TensorRT.
_FULL = re.compile(
    r"Failed to allocate memory for requested buffer|is smaller than requested bytes|out of memory", re.I
)

_FULL_NUMBERS = {
    "CUDA": frozenset({2}),
    "CUBLAS": frozenset({1, 3}),  # not initialized, allocation
    "CUBLASLT": frozenset({1, 3}),
    # Allocation before version 9; since: not initialized, internal error, allocation on the host, on the device.
    "CUDNN": frozenset({2, 1001, 4000, 4003, 4004}),
    "CUFFT": frozenset({2}),  # allocation
}

_CAPTURE = range(900, 912)  # what the capture of a graph does not allow

# A bad value, launch or kernel for this card; no driver, one that is too old, stubbed or of another version; no card,
# or one that is another's or not ready; not supported.
_HARMLESS_CUDA = frozenset({1, 2, 9, 34, 35, 36, 46, 98, 100, 101, 209, 222, 801, 802, 803, 804, *_CAPTURE})
_HARMLESS = {
    "CUDA": _HARMLESS_CUDA,
    "CUBLAS": frozenset({7, 15}),  # value, not supported
    "CUBLASLT": frozenset({7, 15}),
    "CUDNN": frozenset({3, 9, *range(2000, 4000)}),  # the same, before and since version 9
    "CUFFT": frozenset({4}),  # value
}


def is_device_fault(text: str) -> bool:
    """Whether the device is lost to this process."""
    return any(
        int(number) not in _HARMLESS[library] | _FULL_NUMBERS[library] for library, number in _FAILURE.findall(text)
    )


def is_device_full(text: str) -> bool:
    """Whether the device's memory, or what this session may take of it, was not enough."""
    is_told = any(int(number) in _FULL_NUMBERS[library] for library, number in _FAILURE.findall(text))
    return (is_told or _FULL.search(text) is not None) and not is_device_fault(text)


def is_capture_failure(text: str) -> bool:
    """Whether a capture met what it does not allow: the next one may not."""
    return any(library == "CUDA" and int(number) in _CAPTURE for library, number in _FAILURE.findall(text))
