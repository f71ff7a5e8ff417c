"""What an error says of the device, in ONNX Runtime's words."""

import pytest

from services.runtime.device_errors import is_device_fault, is_device_full


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=a", True),
        ("CUDA failure 214: uncorrectable ECC error encountered ; GPU=0", True),
        ("CUDA failure 12345: a code that is not known yet ; GPU=0", True),
        ("CUDNN failure 4: CUDNN_STATUS_INTERNAL_ERROR ; GPU=0", True),
        ("CUDNN failure 5000: CUDNN_STATUS_EXECUTION_FAILED ; GPU=0", True),
        ("CUBLAS failure 14: CUBLAS_STATUS_INTERNAL_ERROR", True),
        ("CUDA failure 2: out of memory ; GPU=0", False),
        ("CUDA failure 9: invalid configuration argument ; GPU=0", False),
        ("CUDA failure 100: no CUDA-capable device is detected", False),
        ("CUDA failure 209: no kernel image is available for execution on the device", False),
        ("CUDA failure 900: operation not permitted when stream is capturing", False),
        ("CUBLAS failure 3: the resource allocation failed", False),
        ("CUDNN failure 3000: CUDNN_STATUS_NOT_SUPPORTED", False),
        ("CUDNN_FE failure 11: CUDNN_BACKEND_API_FAILED", False),
        ("CUDA failure 2: out of memory; then CUDA failure 719: unspecified launch failure", True),
        ("Failed to allocate memory for requested buffer of size 1024", False),
        ("Exiting due to terminate flag being set to true.", False),
    ],
)
def test_what_ends_a_device_is_told_from_what_does_not(text: str, lost: bool) -> None:
    assert is_device_fault(text) is lost


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("CUDA failure 2: out of memory ; GPU=0", True),
        ("bfc_arena.cc:360 Failed to allocate memory for requested buffer of size 1024", True),
        ("Available memory of 10 is smaller than requested bytes of 20", True),
        ("CUDA failure 2: out of memory; then CUDA failure 719: unspecified launch failure", False),
        ("indices element out of data bounds, idx=7", False),
    ],
)
def test_a_full_device_is_told_from_what_is_wrong_otherwise(text: str, full: bool) -> None:
    assert is_device_full(text) is full
