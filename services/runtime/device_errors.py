"""What an error of ONNX Runtime says of the device, told by the number in its text; its type says nothing.

Lost: the context answers nothing any more, whatever is asked, and only a new process has another. Full: a smaller batch
may fit. Anything else is the graph's or the request's own, and a new process would meet it again. A number that is not
known to be harmless counts as lost, since the next call on a lost context tells another one.

https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html, and the status types of cuBLAS and cuDNN
"""

import re

_FAILURE = re.compile(r"\b(CUDA|CUDNN|CUBLAS|CUBLASLT|CUFFT) failure (\d+)")

# ONNX Runtime's arena, which has a limit of its own, and TensorRT.
_FULL = re.compile(
    r"Failed to allocate memory for requested buffer|is smaller than requested bytes|out of memory", re.I
)

# A bad value, launch or kernel for this card; no driver, no card; not supported; from 900 on what the capture of a
# graph does not allow.
_HARMLESS_CUDA = frozenset({1, 2, 9, 35, 98, 100, 101, 209, 801, *range(900, 912)})
_HARMLESS = {
    "CUDA": _HARMLESS_CUDA,
    "CUBLAS": frozenset({3, 7, 15}),  # allocation, value, not supported
    "CUBLASLT": frozenset({3, 7, 15}),
    "CUDNN": frozenset({2, 3, 9, *range(2000, 4000)}),  # the same, before and since version 9
    "CUFFT": frozenset({2, 4}),  # allocation, value
}


def is_device_fault(text: str) -> bool:
    """Whether the device is lost to this process."""
    return any(int(number) not in _HARMLESS[library] for library, number in _FAILURE.findall(text))


def is_device_full(text: str) -> bool:
    """Whether the device's memory, or what this session may take of it, was not enough."""
    return _FULL.search(text) is not None and not is_device_fault(text)
