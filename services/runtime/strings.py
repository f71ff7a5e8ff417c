"""Strings on their way to ONNX Runtime and back: BYTES arrays hold `bytes`, ONNX Runtime wants `str`."""

import numpy as np

from services.runtime.errors import invalid_input
from services.runtime.front import Array


def as_text(name: str, array: Array) -> Array:
    """For ONNX Runtime. Raises ServingError (INVALID_INPUT) where an element of the input `name` is not UTF-8."""
    try:
        return np.array([element.decode() for element in array.ravel().tolist()], np.object_).reshape(array.shape)
    except UnicodeDecodeError:
        raise invalid_input(f"input '{name}': an element is not UTF-8", f"inputs.{name}", "NOT_UTF8") from None


def as_bytes(array: Array) -> Array:
    """Of ONNX Runtime; numbers stay as they are."""
    if array.dtype != np.object_:
        return array
    return np.array([element.encode() for element in array.ravel().tolist()], np.object_).reshape(array.shape)
