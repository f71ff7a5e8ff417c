"""ONNX Runtime, and the only module that imports it.

A session runs on the execution provider that was asked for or is not made: ONNX Runtime itself would fall back to the
CPU and say so in a log line. On a card it runs through buffers there, unless the graph has strings. Strings cross here:
the fleet's BYTES arrays hold `bytes`, ONNX Runtime wants `str`.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from pathlib import Path

import numpy as np
import onnxruntime as ort
import structlog
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from services.runtime.batch_buffers import BufferedRows
from services.runtime.capture_gate import CaptureGate
from services.runtime.card import CudaLibrary, card_memory_mb, cuda_library
from services.runtime.card_runs import CardRuns, check_device, device_runs
from services.runtime.device_errors import is_device_fault
from services.runtime.device_runs import NO_GRAPH, Graphs, graph_options
from services.runtime.devices import Execution
from services.runtime.errors import DeviceFaultError, invalid_input, refused_load
from services.runtime.front import Array
from services.runtime.graph_nodes import bound_nodes, why_not_captured
from services.runtime.host_runs import HostRuns
from services.runtime.load_refusals import load_refusal, provider_missing
from services.runtime.strings import as_bytes, as_text

_log = structlog.get_logger()

CPU = "CPUExecutionProvider"
PROVIDERS = {"cpu": CPU, "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}

_LOAD_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    ort_errors.EPFail,
    # Python's own: options that are none, or a provider whose libraries are not here.
    RuntimeError,
    ValueError,
)

# The last one is any error of a bound run.
_RUN_ERRORS = (ort_errors.Fail, ort_errors.RuntimeException, ort_errors.EPFail, RuntimeError)


def run_options() -> ort.RunOptions:
    """Of a run that is no CUDA graph's, and says so: or a bound one takes 40 µs longer (docs/performance.md)."""
    return graph_options(ort.RunOptions(), NO_GRAPH)


class Run:
    """One run of a session, which another thread may end before its time."""

    def __init__(self, session: "Session", options: ort.RunOptions) -> None:
        self._session, self._options = session, options
        self.terminated = False

    def give_back(self) -> None:
        """It is over, and nobody will end it: its options are as good as new."""
        self._session.options.append(self._options)

    def terminate(self) -> None:
        """Nobody waits for the result any more."""
        self.terminated = True
        self._options.terminate = True

    def outputs(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Name -> [rows, ...] in, name -> [rows, ...] out, in as many runs as the graph's row limit wants."""
        rows = len(next(iter(inputs.values())))
        limit = self._session.row_limit
        if rows <= limit:
            return self._session.run_once(inputs, self._options)
        parts = [
            self._session.run_once(
                {name: array[start : start + limit] for name, array in inputs.items()}, self._options
            )
            for start in range(0, rows, limit)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


class Session:
    """A loaded graph. Any number of threads may run it at once.

    `row_limit` is how many rows one run takes. Raises ServingError (REFUSED_LOAD) where the file is no model that this
    ONNX Runtime can run, or the provider is not there.
    """

    def __init__(self, model: Path, execution: Execution, row_limit: int) -> None:
        self._gate = execution.gate
        self.row_limit = row_limit
        self.provider = PROVIDERS[execution.provider]
        _check_available(execution.provider, self.provider)
        if execution.graph_rows and execution.graph_rows[-1] > row_limit:
            raise refused_load("CUDA_GRAPHS_IMPOSSIBLE", f"cuda_graphs: a run takes {row_limit} rows; set it to false")
        if self.provider != CPU:
            _cuda_library(ort.cuda_version)
        # Of runs that are over.
        self.options: list[ort.RunOptions] = []
        with self._gate.loading():
            self._session = _loaded(model, execution)
        if self._session.get_providers()[0] != self.provider:
            raise provider_missing(execution.provider)
        self.input_names = tuple(node.name for node in self._session.get_inputs())
        self.output_names = tuple(node.name for node in self._session.get_outputs())
        self._string_inputs = {node.name for node in self._session.get_inputs() if node.type == "tensor(string)"}
        self._card_runs = None if self.provider == CPU else self._on_card(execution)
        # None where runs are not bound to memory of the CPU, or such a run has failed and a plain one has not.
        self.host_runs = HostRuns(self._session) if self.provider == CPU else None

    def __del__(self) -> None:
        if self.provider != CPU:
            self._gate.discard([self.__dict__.pop(name, None) for name in ("_card_runs", "_session")])

    def without_graphs(self) -> AbstractContextManager[None]:
        """For whoever has the session to itself: runs on a thread that will replay no CUDA graph."""
        bound = self._card_runs and self._card_runs.bound
        return bound.without_graphs() if bound else nullcontext()

    def start(self) -> Run:
        """A run that has yet to be given its inputs."""
        try:
            return Run(self, self.options.pop())
        except IndexError:
            return Run(self, run_options())

    def run_once(self, inputs: Mapping[str, Array], options: ort.RunOptions) -> dict[str, Array]:
        """Raises ServingError (INVALID_INPUT) where the graph finds that the inputs are not what it takes, and
        (EXHAUSTED) where the device has no room for them; DeviceFaultError where the device is lost.
        """
        runs = self.host_runs
        if runs is None or not isinstance(inputs, BufferedRows):
            return self._unbuffered(inputs, options)
        try:
            return runs.run(inputs, options)
        except RuntimeError as error:
            outputs = self._unbuffered(inputs, options)  # it raises what is wrong with the inputs
            self.host_runs = None
            _log.warning("runs without buffers", detail=str(error))
            return outputs

    def _unbuffered(self, inputs: Mapping[str, Array], options: ort.RunOptions) -> dict[str, Array]:
        feeds: Mapping[str, Array] = inputs
        if self._string_inputs:
            feeds = {
                name: as_text(name, array) if name in self._string_inputs else array for name, array in inputs.items()
            }
        try:
            results = self._results(feeds, options)
        except ort_errors.InvalidArgument as error:
            raise invalid_input(
                "inputs: a value or a dimension is outside of what the model takes", "inputs", "VALUE_OUT_OF_RANGE"
            ) from error
        except _RUN_ERRORS as error:
            _check_category(str(error))
            raise
        return {name: as_bytes(array) for name, array in zip(self.output_names, results, strict=True)}

    def _results(self, feeds: Mapping[str, Array], options: ort.RunOptions) -> list[Array]:
        if self._card_runs is not None:
            return self._card_runs.run(feeds, options)
        results: list[Array] = self._session.run(self.output_names, feeds, options)
        return results

    def _on_card(self, execution: Execution) -> CardRuns:
        nodes = bound_nodes(self._session, execution.place)
        if execution.graph_rows and (why := why_not_captured(self._session, nodes)):
            raise refused_load("CUDA_GRAPHS_IMPOSSIBLE", f"cuda_graphs: {why}; set it to false")
        bound = None
        if nodes is not None:
            graphs = Graphs(execution.graph_rows, ort.RunOptions, self.row_limit) if execution.graph_rows else None
            bound = device_runs(self._session, nodes, execution, graphs, _cuda_library(ort.cuda_version))
        plain = partial(_plain_results, self._session, self.output_names, self._gate)
        return CardRuns(bound, plain, execution.place.index)


def _check_category(text: str) -> None:
    """An encoder of the graph that knows no others says so; which row and column it does not say."""
    if "Unknown Category" in text:
        message = "inputs: a value is none of the categories that the model knows"
        raise invalid_input(message, "inputs", "UNKNOWN_CATEGORY") from None


def device_memory_mb(card: int) -> int | None:
    """What is free on a card; None where ONNX Runtime here is not made for cards, or there is none."""
    return card_memory_mb(_cuda_library(ort.cuda_version), card)


@cache
def _cuda_library(version: str) -> CudaLibrary | None:
    """With CUDA's other libraries, where they are installed as packages: the loader does not look there by itself."""
    if not version:
        return None
    ort.preload_dlls()
    return cuda_library(version)


def _loaded(model: Path, execution: Execution) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = execution.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    named = [(execution.provider, execution.options), *execution.others]
    if execution.provider != "cpu":
        named.append(("cpu", {}))
    chosen = [(PROVIDERS[name], dict(of_provider)) for name, of_provider in named]
    try:
        # With its fallback a run that fails on the card would go on on the CPU, from then on.
        return ort.InferenceSession(str(model), options, providers=chosen, enable_fallback=0)
    except _LOAD_ERRORS as error:
        text, is_pythons = str(error), isinstance(error, RuntimeError | ValueError)
    # Here no frame of the error holds the session, whose memory has gone back inside the gate.
    _log.warning("graph not loaded", detail=text)
    if execution.provider != "cpu" and is_device_fault(text):
        raise DeviceFaultError(text)
    raise load_refusal(text, execution, is_pythons)


def _plain_results(
    session: ort.InferenceSession,
    output_names: Sequence[str],
    gate: CaptureGate,
    feeds: Mapping[str, Array],
    options: ort.RunOptions,
) -> list[Array]:
    """Of a card, without buffers there."""
    try:
        with gate.together():
            results: list[Array] = session.run(output_names, feeds, options)
    except _RUN_ERRORS as error:
        check_device(str(error))
        raise
    return results


def _check_available(name: str, provider: str) -> None:
    if provider not in ort.get_available_providers():
        raise provider_missing(name)
