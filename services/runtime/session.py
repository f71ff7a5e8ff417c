"""ONNX Runtime, and the only module that imports it.

A session runs on the execution provider that was asked for or is not made: ONNX Runtime itself would fall back to the
CPU and say so in a log line. Strings cross here: the fleet's BYTES arrays hold `bytes`, ONNX Runtime wants `str`.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from services.runtime.devices import Execution, is_device_fault
from services.runtime.errors import DeviceFaultError, ServingError, invalid_input, refused_load
from services.runtime.front import Array

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
)

_DEVICE_ERRORS = (ort_errors.Fail, ort_errors.RuntimeException, ort_errors.EPFail)


class Run:
    """One run of a session, which another thread may end before its time."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._options = ort.RunOptions()
        self.terminated = False

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
        self.row_limit = row_limit
        self.provider = PROVIDERS[execution.provider]
        _check_available(execution.provider, self.provider)
        options = ort.SessionOptions()
        options.intra_op_num_threads = execution.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        chosen = [(self.provider, dict(execution.options))] + ([(CPU, {})] if self.provider != CPU else [])
        try:
            self._session = ort.InferenceSession(str(model), options, providers=chosen)
        except _LOAD_ERRORS:
            raise refused_load(
                "MODEL_UNLOADABLE", "model.onnx: ONNX Runtime cannot load it; the log has the details"
            ) from None
        if self._session.get_providers()[0] != self.provider:
            raise _provider_missing(execution.provider)
        self.input_names = tuple(node.name for node in self._session.get_inputs())
        self.output_names = tuple(node.name for node in self._session.get_outputs())
        self._string_inputs = {node.name for node in self._session.get_inputs() if node.type == "tensor(string)"}

    def start(self) -> Run:
        """A run that has yet to be given its inputs."""
        return Run(self)

    def run_once(self, inputs: Mapping[str, Array], options: ort.RunOptions) -> dict[str, Array]:
        """Raises ServingError (INVALID_INPUT) where the graph finds that the inputs are not what it takes, and
        DeviceFaultError where the device is lost.
        """
        feeds = {
            name: _as_text(name, array) if name in self._string_inputs else array for name, array in inputs.items()
        }
        try:
            results = self._session.run(self.output_names, feeds, options)
        except ort_errors.InvalidArgument as error:
            raise invalid_input(
                "inputs: a value or a dimension is outside of what the model takes", "inputs", "VALUE_OUT_OF_RANGE"
            ) from error
        except _DEVICE_ERRORS as error:
            if self.provider != CPU and is_device_fault(str(error)):
                raise DeviceFaultError(str(error)) from None
            raise
        return {name: _as_bytes(array) for name, array in zip(self.output_names, results, strict=True)}


def _check_available(name: str, provider: str) -> None:
    if provider not in ort.get_available_providers():
        raise _provider_missing(name)


def _provider_missing(name: str) -> ServingError:
    return refused_load("PROVIDER_UNAVAILABLE", f"execution provider '{name}' was asked for and cannot be had here")


def _as_text(name: str, array: Array) -> Array:
    try:
        return np.array([element.decode() for element in array.ravel().tolist()], np.object_).reshape(array.shape)
    except UnicodeDecodeError:
        raise invalid_input(f"input '{name}': an element is not UTF-8", f"inputs.{name}", "NOT_UTF8") from None


def _as_bytes(array: Array) -> Array:
    if array.dtype != np.object_:
        return array
    return np.array([element.encode() for element in array.ravel().tolist()], np.object_).reshape(array.shape)
