"""What the tests of a card share: whether there is one, sessions on it, and rows to ask them.

No card has run these tests yet: they were tried against one that is acted out, which shows no more than that they run.
"""

import ctypes
from collections.abc import Mapping
from functools import cache

import numpy as np
import onnxruntime
import pytest

from exporter import parity_rows
from services.runtime.capture_gate import CaptureGate
from services.runtime.devices import Wanted, executions
from services.runtime.front import Array
from services.runtime.session import PROVIDERS, Session, device_memory_mb
from tests.e2e.traffic import MODELS, manifest, newest

ROW_LIMIT = 256


def why_not(provider: str) -> str:
    """Why nothing can run here; '' where it can."""
    if PROVIDERS[provider] not in onnxruntime.get_available_providers():
        return f"needs an NVIDIA card and onnxruntime-gpu: this ONNX Runtime has no execution provider '{provider}'"
    if provider == "tensorrt" and not _has_library("libnvinfer.so.10"):
        return "needs TensorRT 10: there is no libnvinfer.so.10 here"
    return "" if device_memory_mb(0) is not None else "needs an NVIDIA card: the CUDA runtime finds none"


def _has_library(name: str) -> bool:
    """ONNX Runtime has a provider that it was built with, whether that provider's libraries are here or not."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


NEEDS_CARD = [pytest.mark.gpu, pytest.mark.skipif(bool(why_not("cuda")), reason=why_not("cuda"))]


def models() -> list[str]:
    """The reference models that are here."""
    return sorted(folder.name for folder in MODELS.iterdir()) if MODELS.is_dir() else []


def session(model: str, provider: str = "cuda", **wanted: object) -> Session:
    """As a service makes it."""
    fixed = [tensor.shape[0] for tensor in manifest(model).inputs if tensor.shape[0] > 0]
    return sessions(model, provider, instances=1, **wanted)[0] if not fixed else _of_one_row(model, provider)


def sessions(model: str, provider: str = "cuda", instances: int = 2, **wanted: object) -> list[Session]:
    made = executions(Wanted(provider, 1, instances, **wanted), CaptureGate())
    return [Session(newest(model) / "model.onnx", execution, ROW_LIMIT) for execution in made]


def _of_one_row(model: str, provider: str) -> Session:
    [execution] = executions(Wanted(provider, 1, 1), CaptureGate())
    return Session(newest(model) / "model.onnx", execution, 1)


@cache
def kept_rows(model: str) -> list[dict[str, Array]]:
    """The rows that the export kept, each batch with texts as the services have them."""
    content = (newest(model) / parity_rows.PARITY_FILE).read_bytes()
    return [{name: _as_bytes(values) for name, values in kept.rows.items()} for kept in parity_rows.read(content)]


def repeated(rows: Mapping[str, Array], count: int) -> dict[str, Array]:
    """The first rows, again and again, as a batch of so many."""
    return {name: np.resize(values, (count, *values.shape[1:])) for name, values in rows.items()}


def assert_equal(model: str, found: Mapping[str, Array], wanted: Mapping[str, Array]) -> None:
    """Within the tolerance that the export was held to."""
    for parity in manifest(model).parity.outputs:
        got, expected = found[parity.output], wanted[parity.output]
        assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
        if got.dtype == np.object_:
            assert got.tolist() == expected.tolist()
        else:
            np.testing.assert_allclose(got, expected, parity.relative_tolerance, parity.absolute_tolerance)


def _as_bytes(values: Array) -> Array:
    if values.dtype != np.object_:
        return values
    return np.array([text.encode() for text in values.ravel().tolist()], np.object_).reshape(values.shape)
