"""Runs on the CPU whose inputs and outputs stay where they are: bound once for each number of rows, then only run.

A plain run looks at each input by name, wraps it, allocates each output and wraps that, which takes longer than a small
model. A bound one leaves its outputs in the memory that belongs to its inputs (`batch_buffers.py`).

It deliberately does not tell why a run failed: the session asks again with a plain one, which does.
"""

from collections.abc import Sequence
from typing import Protocol

from services.runtime.batch_buffers import BufferedRows
from services.runtime.device_buffers import RunOptions
from services.runtime.front import Array


class Bind(Protocol):
    """Where a tensor is."""

    def __call__(
        self,
        name: str,
        *,
        device_type: str,
        device_id: int,
        element_type: object,
        shape: Sequence[int],
        buffer_ptr: int,
    ) -> None: ...


class Binding(Protocol):
    """As much as is used of onnxruntime.IOBinding."""

    bind_input: Bind
    bind_output: Bind


class OrtSession(Protocol):
    """As much as is used of onnxruntime.InferenceSession."""

    def io_binding(self) -> Binding: ...
    def run_with_iobinding(self, iobinding: Binding, run_options: RunOptions, /) -> None: ...


class HostRuns:
    """Of one session, with which its bindings go. Each worker brings rows of its own, so any number of them may run at
    once. A binding is the bare addresses of its rows; their number never comes again, so none is run after them.
    """

    def __init__(self, session: OrtSession) -> None:
        self._session = session
        self._bindings: dict[int, Binding] = {}

    def run(self, rows: BufferedRows, options: RunOptions) -> dict[str, Array]:
        """The outputs, in the memory of `rows`. Raises what ONNX Runtime raises, RuntimeError for nearly all."""
        binding = self._bindings.get(rows.number)
        if binding is None:
            binding = self._bindings[rows.number] = self._bound(rows)
        self._session.run_with_iobinding(binding, options)
        return rows.outputs

    def _bound(self, rows: BufferedRows) -> Binding:
        binding = self._session.io_binding()
        for tensors, bind in ((rows, binding.bind_input), (rows.outputs, binding.bind_output)):
            for name, array in tensors.items():
                bind(
                    name,
                    device_type="cpu",
                    device_id=0,
                    element_type=array.dtype,
                    shape=array.shape,
                    buffer_ptr=array.ctypes.data,
                )
        return binding
