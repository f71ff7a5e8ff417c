"""A card acted out on the CPU: ONNX Runtime says that it has a card's providers, and what would run there runs here.

It shows that the service takes the path of a card and answers right, and what it does with the errors of one; of CUDA
it shows nothing. The errors are worded as ONNX Runtime 1.31 words them: one kind for all that a bound run meets. A run
fails where its first input holds `TOO_MUCH` (the card's memory is full) or else `LIGHTNING` (the card is lost).
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

CARDS = ("TensorrtExecutionProvider", "CUDAExecutionProvider")
LIGHTNING, TOO_MUCH = 700.0, 2.0e30

LOST = (
    "CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=here ; "
    "file=cuda_stream_handle.cc ; line=183 ; expr=cudaStreamSynchronize(static_cast<cudaStream_t>(GetHandle()));"
)
FULL = "Available memory of 1024 is smaller than requested bytes of 4096"

Providers = Sequence[tuple[str, Mapping[str, str]]]


@dataclass(slots=True)
class Card:
    """What was asked of it."""

    providers: list[Providers] = field(default_factory=list)
    fallbacks: list[bool] = field(default_factory=list)
    # Of each bound run: the thread, the number of its graph ('' where none was given), and the binding.
    runs: list[tuple[str, str, object]] = field(default_factory=list)
    plain_runs: int = 0
    # The card's number for each buffer that was made there.
    buffers: list[int] = field(default_factory=list)
    # A session is made all the same and runs on the CPU: ONNX Runtime says so where it is asked, and in a log line.
    falls_back: bool = False
    in_load: Callable[[], None] = lambda: None
    in_run: Callable[[], None] = lambda: None


class _Memory:
    name = "Cuda"


class _Binding(onnxruntime.IOBinding):  # type: ignore[misc]
    def bind_output(self, name: str, device_type: str, device_id: int) -> None:
        assert device_type == "cuda"
        super().bind_output(name, "cpu", 0)


def _session(card: Card) -> type[onnxruntime.InferenceSession]:
    class Session(onnxruntime.InferenceSession):  # type: ignore[misc]
        def __init__(self, path: str, options: object, providers: Providers, enable_fallback: int = 1) -> None:
            self.names = [name for name, _ in providers]
            card.providers.append(providers)
            card.fallbacks.append(bool(enable_fallback))
            card.in_load()
            super().__init__(path, options, providers=["CPUExecutionProvider"], enable_fallback=0)

        def get_providers(self) -> list[str]:
            return super().get_providers() if card.falls_back else self.names

        def get_input_memory_infos(self) -> list[object]:
            return [_Memory() for _ in self.get_inputs()]

        def get_output_memory_infos(self) -> list[object]:
            return [_Memory() for _ in self.get_outputs()]

        def io_binding(self) -> onnxruntime.IOBinding:
            return _Binding(self)

        def create_ortvalue_from_shape_and_type(
            self, shape: Sequence[int], element_type: object, device_type: str, device_id: int
        ) -> onnxruntime.OrtValue:
            assert device_type == "cuda"
            card.buffers.append(device_id)
            return super().create_ortvalue_from_shape_and_type(shape, element_type, "cpu", 0)

        def run_with_iobinding(self, iobinding: onnxruntime.IOBinding, run_options: object) -> None:
            card.runs.append((threading.current_thread().name, _graph(run_options), iobinding))
            card.in_run()
            text = _failure(next(iter(iobinding._bound_inputs.values())).numpy())
            if text:
                raise RuntimeError(f"Error in execution: {text}")
            super().run_with_iobinding(iobinding, run_options)

        def run(self, output_names: Sequence[str], feeds: Mapping[str, object], run_options: object) -> list[object]:
            card.plain_runs += 1
            text = _failure(np.asarray(next(iter(feeds.values()))))
            if text:
                raise Fail(f"[ONNXRuntimeError] : 1 : FAIL : {text}")
            return list(super().run(output_names, feeds, run_options))

    return Session


def _failure(values: np.ndarray) -> str:
    if values.dtype != np.float32:
        return ""
    return FULL if (values == np.float32(TOO_MUCH)).any() else LOST if (values == LIGHTNING).any() else ""


def _graph(run_options: object) -> str:
    try:
        return run_options.get_run_config_entry("gpu_graph_id")  # type: ignore[attr-defined]
    except RuntimeError:  # it has none
        return ""


@contextmanager
def acted_card() -> Iterator[Card]:
    """While it lasts, ONNX Runtime has a card."""
    card, real = Card(), (onnxruntime.InferenceSession, onnxruntime.get_available_providers)
    onnxruntime.InferenceSession = _session(card)
    onnxruntime.get_available_providers = lambda: [*CARDS, *real[1]()]
    try:
        yield card
    finally:
        onnxruntime.InferenceSession, onnxruntime.get_available_providers = real
