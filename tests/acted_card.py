"""A card acted out on the CPU: ONNX Runtime says that it has a card's providers, and what would run there runs here.

It shows that the service takes the path of a card and answers right, and what it does with the errors of one; of CUDA
it shows nothing. The errors are worded as ONNX Runtime 1.31 words them: one kind for all that a bound run meets. A run
fails where its first input holds `TOO_MUCH` (the card's memory is full) or else `LIGHTNING` (the card is lost), and as
`acted_cuda.py` says.
"""

import ctypes
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument

from tests.acted_cuda import Arena, ArenaFullError, CudaRuntime, Ones, check_tensorrt

CARDS = ("TensorrtExecutionProvider", "CUDAExecutionProvider")
SHRINKS = "memory.enable_memory_arena_shrinkage"
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
    # Of each bound run: the thread, the number of its graph ('' where none was given), and the binding, by its id, or
    # its buffers would stay.
    runs: list[tuple[str, str, int]] = field(default_factory=list)
    plain_runs: int = 0
    # The card's number for each buffer that was made there.
    buffers: list[int] = field(default_factory=list)
    # A session is made all the same and runs on the CPU: ONNX Runtime says so where it is asked, and in a log line.
    falls_back: bool = False
    # Of each bound run, as above: how many rows.
    rows: list[int] = field(default_factory=list)
    cuda: CudaRuntime = field(default_factory=CudaRuntime)
    has_arena: bool = True
    shrinkages: int = 0  # of any session's arena
    in_load: Callable[[], None] = lambda: None
    in_run: Callable[[], None] = lambda: None


class _Memory:
    name = "Cuda"


class _Binding(onnxruntime.IOBinding):  # type: ignore[misc]
    def bind_ortvalue_output(self, name: str, ortvalue: onnxruntime.OrtValue) -> None:
        self.__dict__.setdefault("kept", []).append(ortvalue)  # as long as the binding is there, so is the buffer
        super().bind_ortvalue_output(name, ortvalue)

    def bind_output(self, name: str, device_type: str, device_id: int) -> None:
        assert device_type == "cuda"
        super().bind_output(name, "cpu", 0)


def _session(card: Card) -> type[onnxruntime.InferenceSession]:
    class Session(onnxruntime.InferenceSession):  # type: ignore[misc]
        def __init__(self, path: str, options: object, providers: Providers, enable_fallback: int = 1) -> None:
            self.names = [name for name, _ in providers]
            card.providers.append(providers)
            card.fallbacks.append(bool(enable_fallback))
            of_providers = {name: dict(of_provider) for name, of_provider in providers}
            check_tensorrt(of_providers.get("TensorrtExecutionProvider", {}))
            card.in_load()
            super().__init__(path, options, providers=["CPUExecutionProvider"], enable_fallback=0)
            cuda = of_providers.get("CUDAExecutionProvider", {})
            self.captures = cuda.get("enable_cuda_graph") == "1"
            self.card_id = int(cuda.get("device_id", 0))
            self.arena = Arena(int(cuda.get("gpu_mem_limit", 0)), Path(path).stat().st_size)
            self.ones = Ones()
            weakref.finalize(self, card.cuda.frees, "a session").atexit = False

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
            value = super().create_ortvalue_from_shape_and_type(shape, element_type, "cpu", 0)
            try:
                region = self.arena.take(value.numpy().nbytes)
            except ArenaFullError as error:
                raise RuntimeError(str(error)) from None
            weakref.finalize(value, self.arena.free.append, region).atexit = False
            return value

        def run_with_iobinding(self, iobinding: onnxruntime.IOBinding, run_options: object) -> None:
            first, graph = next(iter(iobinding._bound_inputs.values())).numpy(), _graph(run_options)
            card.runs.append((threading.current_thread().name, graph, id(iobinding)))
            card.rows.append(len(first))
            with self._captured(graph, len(first)):
                card.in_run()
                text = _failure(first) or self._run_on_card([first.nbytes], run_options)
                if text:
                    raise RuntimeError(f"Error in execution: {text}")
                super().run_with_iobinding(iobinding, run_options)
            if self.ones.reads_freed_memory(graph):
                for output in iobinding.get_outputs():
                    output.update_inplace(np.full_like(output.numpy(), -99))

        @contextmanager
        def _captured(self, graph: str, rows: int) -> Iterator[None]:
            """A replay asks for no buffer again."""
            is_graph = self.captures and graph not in {"", "-1"}
            if is_graph and graph in self.ones.graphs:
                yield
                return
            ones = self.ones.of(rows)
            card.cuda.capturing = threading.get_ident() if is_graph else card.cuda.capturing
            try:
                yield
            finally:
                card.cuda.capturing = None if is_graph else card.cuda.capturing
            if is_graph:
                self.ones.graphs[graph] = ones

        def _run_on_card(self, sizes: Sequence[int], run_options: object) -> str:
            """What stands against a run that takes so many bytes there, '' for nothing."""
            if not self.captures:
                card.cuda.thread.card = self.card_id
            taken: list[int] = []
            try:
                taken.extend(self.arena.take(size) for size in sizes)
            except ArenaFullError as error:
                return str(error)
            finally:
                self.arena.free.extend(taken)
                if _entry(run_options, SHRINKS) == f"gpu:{self.card_id}":
                    self.arena.shrink()
                    card.shrinkages += 1
                    self.ones.buffer = object()  # for all that a graph knows
            error_number = card.cuda.cudaGetLastError()
            return f"CUDA failure {error_number}: left by another call" if error_number else ""

        def run(self, output_names: Sequence[str], feeds: Mapping[str, object], run_options: object) -> list[object]:
            card.plain_runs += 1
            if _entry(run_options, SHRINKS) and not card.has_arena:
                raise InvalidArgument("Did not find an arena based allocator in the memory arena shrink list: gpu:0")
            first = np.asarray(next(iter(feeds.values())))
            self.ones.of(len(first))
            text = _failure(first) or self._run_on_card([first.nbytes] * 3, run_options)
            if text:
                raise Fail(f"[ONNXRuntimeError] : 1 : FAIL : {text}")
            return list(super().run(output_names, feeds, _on_cpu(run_options)))

    return Session


def _failure(values: np.ndarray) -> str:
    if values.dtype != np.float32:
        return ""
    return FULL if (values == np.float32(TOO_MUCH)).any() else LOST if (values == LIGHTNING).any() else ""


def _on_cpu(run_options: object) -> object:
    """There is no such arena there."""
    if not _entry(run_options, SHRINKS):
        return run_options
    own = onnxruntime.RunOptions()
    own.terminate = run_options.terminate  # type: ignore[attr-defined]
    return own


def _graph(run_options: object) -> str:
    return _entry(run_options, "gpu_graph_id")


def _entry(run_options: object, key: str) -> str:
    try:
        return run_options.get_run_config_entry(key)  # type: ignore[attr-defined]
    except RuntimeError:  # it has none
        return ""


class _CurrentRuntime:
    """The CUDA runtime of the card that is acted out now: who has found it once keeps it."""

    def __init__(self) -> None:
        self.cuda = CudaRuntime()

    def __getattr__(self, name: str) -> object:
        return getattr(self.cuda, name)


_CUDART = _CurrentRuntime()


@contextmanager
def acted_card() -> Iterator[Card]:
    """While it lasts, ONNX Runtime has a card."""
    card, real = Card(), (onnxruntime.InferenceSession, onnxruntime.get_available_providers)
    cuda_version, preload_dlls, load = onnxruntime.cuda_version, onnxruntime.preload_dlls, ctypes.CDLL
    onnxruntime.InferenceSession = _session(card)
    onnxruntime.get_available_providers = lambda: [*CARDS, *real[1]()]
    onnxruntime.cuda_version, onnxruntime.preload_dlls = "acted", lambda: None
    _CUDART.cuda = card.cuda
    ctypes.CDLL = lambda name, *rest: _CUDART if name == "libcudart.so.acted" else load(name, *rest)  # type: ignore[assignment,misc]
    try:
        yield card
    finally:
        onnxruntime.InferenceSession, onnxruntime.get_available_providers = real
        onnxruntime.cuda_version, onnxruntime.preload_dlls, ctypes.CDLL = cuda_version, preload_dlls, load  # type: ignore[misc]
