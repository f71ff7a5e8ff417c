"""What an error says of the device, in ONNX Runtime's words."""

import pytest

from services.runtime.device_errors import is_capture_failure, is_device_fault, is_device_full


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=a", True),
        ("CUDA failure 214: uncorrectable ECC error encountered ; GPU=0", True),
        ("CUDA failure 12345: a code that is not known yet ; GPU=0", True),
        ("CUDNN failure 4: CUDNN_STATUS_INTERNAL_ERROR ; GPU=0", True),
        ("CUDNN failure 4001: CUDNN_STATUS_INTERNAL_ERROR_COMPILATION_FAILED", True),
        ("CUDNN failure 5000: CUDNN_STATUS_EXECUTION_FAILED ; GPU=0", True),
        ("CUBLAS failure 14: CUBLAS_STATUS_INTERNAL_ERROR", True),
        ("CUDA failure 2: out of memory ; GPU=0", False),
        ("CUDA failure 9: invalid configuration argument ; GPU=0", False),
        ("CUDA failure 100: no CUDA-capable device is detected", False),
        ("CUDA failure 209: no kernel image is available for execution on the device", False),
        ("CUDA failure 900: operation not permitted when stream is capturing", False),
        ("CUBLAS failure 3: the resource allocation failed", False),
        ("CUBLAS failure 1: CUBLAS_STATUS_NOT_INITIALIZED", False),
        ("CUDNN failure 4000: CUDNN_STATUS_INTERNAL_ERROR", False),
        ("CUDA failure 34: CUDA driver is a stub library", False),
        ("CUDA failure 36: API call is not supported in the installed CUDA driver", False),
        ("CUDA failure 46: all CUDA-capable devices are busy or unavailable", False),
        ("CUDA failure 222: the provided PTX was compiled with an unsupported toolchain", False),
        ("CUDA failure 802: system not yet initialized", False),
        ("CUDA failure 803: system has unsupported display driver / cuda driver combination", False),
        ("CUDA failure 804: forward compatibility was attempted on non supported HW", False),
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
        ("CUBLAS failure 1: CUBLAS_STATUS_NOT_INITIALIZED", True),
        ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED", True),
        ("CUDNN failure 1001: CUDNN_STATUS_NOT_INITIALIZED", True),
        ("CUDNN failure 4000: CUDNN_STATUS_INTERNAL_ERROR", True),
        ("CUDNN failure 4003: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED", True),
        ("CUDNN failure 4004: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED", True),
        ("CUBLAS failure 1: CUBLAS_STATUS_NOT_INITIALIZED; then CUDA failure 700: an illegal memory access", False),
        ("CUBLAS failure 7: CUBLAS_STATUS_INVALID_VALUE", False),
        ("bfc_arena.cc:360 Failed to allocate memory for requested buffer of size 1024", True),
        ("Available memory of 10 is smaller than requested bytes of 20", True),
        ("CUDA failure 2: out of memory; then CUDA failure 719: unspecified launch failure", False),
        ("indices element out of data bounds, idx=7", False),
    ],
)
def test_a_full_device_is_told_from_what_is_wrong_otherwise(text: str, full: bool) -> None:
    assert is_device_full(text) is full


@pytest.mark.parametrize(
    ("text", "captures"),
    [
        ("CUDA failure 900: operation not permitted when stream is capturing", True),
        ("CUDA failure 901: operation failed due to a previous error during capture", True),
        ("CUDA failure 911: operation would make the legacy stream depend on a capturing blocking stream", True),
        ("CUDA failure 9: invalid configuration argument", False),
        ("indices element out of data bounds, idx=905", False),
    ],
)
def test_a_capture_that_something_came_between_is_told(text: str, captures: bool) -> None:
    assert is_capture_failure(text) is captures
