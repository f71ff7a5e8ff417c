"""Runs of a session on a card, and what is tried before one is refused.

A bound run fails without a word of why. So the rows run once more without bindings, which tells what is wrong with
them, or that the card is lost; where nothing is, their shape is bound no more. What a capture met may be gone at the
next, so that a shape is bound no more only once several of its captures have failed.

Where the card is full, the buffers that no graph has are freed first. ONNX Runtime's arena neither merges nor gives
back what it has taken, so that after small batches a large one may find no room though nothing is in use. The run
without bindings has the arena shrunk, which happens at its end, whether it found room or not; where it did not, the
rows run a last time. An arena that graphs were captured on is never shrunk: a replay would read what it has given back.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

import structlog

from services.runtime.card import CudaLibrary, Staging, use_card
from services.runtime.device_buffers import DeviceBuffers, OrtSession, RunOptions
from services.runtime.device_errors import is_capture_failure, is_device_fault, is_device_full
from services.runtime.device_runs import DeviceRuns, Graphs
from services.runtime.devices import Execution
from services.runtime.errors import DeviceFaultError, exhausted
from services.runtime.front import Array
from services.runtime.graph_nodes import BoundNodes

_log = structlog.get_logger()

# Nothing else of this process spoils a capture, so one that fails so often is spoilt by its own graph.
MAX_FAILED_CAPTURES = 3

_SHRINKS = "memory.enable_memory_arena_shrinkage"

PlainRun: TypeAlias = Callable[[Mapping[str, Array], RunOptions], list[Array]]


class CardRuns:
    """Of one session. `bound` is None where its tensors can have no buffers; `plain` runs it without, and raises as
    `check_device` does.
    """

    def __init__(self, bound: DeviceRuns | None, plain: PlainRun, card: int) -> None:
        self.bound = bound
        self._plain = plain
        self._card = card

    def run(self, feeds: Mapping[str, Array], options: RunOptions) -> list[Array]:
        """The outputs in the graph's order. Raises ServingError (EXHAUSTED) where the card has no room for the rows,
        DeviceFaultError where it is lost, else what ONNX Runtime raises.
        """
        if self.bound is None:
            return self._plain(feeds, options)
        text, results = "", None
        try:
            results = self.bound.run(feeds, options)
        except RuntimeError as error:
            text = str(error)
        # From here on no frame of the error holds buffers.
        if is_device_fault(text):
            raise DeviceFaultError(text)
        if is_capture_failure(text):
            _count_failed_capture(self.bound, feeds, text)
        if is_device_full(text):
            return self._run_in_more_room(self.bound, feeds, options)
        if results is None:
            results = self._plain(feeds, options)  # it raises what is wrong with the inputs
        if text and not is_capture_failure(text):
            _give_up(self.bound, feeds, text)
        return results

    def _run_in_more_room(self, bound: DeviceRuns, feeds: Mapping[str, Array], options: RunOptions) -> list[Array]:
        bound.drop_loose()
        if bound.has_graphs:
            return self._plain(feeds, options)
        # The caller's own options, by which it may end this run too.
        options.add_run_config_entry(_SHRINKS, f"gpu:{self._card}")
        try:
            return self._plain(feeds, options)
        except Exception as error:  # TensorRT's memory may be no arena, which an error of another kind says
            if isinstance(error, DeviceFaultError):
                raise
        finally:
            options.add_run_config_entry(_SHRINKS, "")  # which ONNX Runtime takes for none
        return self._plain(feeds, options)


def _count_failed_capture(bound: DeviceRuns, feeds: Mapping[str, Array], text: str) -> None:
    _log.warning("no CUDA graph captured", shapes=_shapes(feeds), detail=text)
    if bound.count_failed_capture(feeds) >= MAX_FAILED_CAPTURES:
        _give_up(bound, feeds, text)


def _give_up(bound: DeviceRuns, feeds: Mapping[str, Array], text: str) -> None:
    bound.give_up(feeds)
    _log.warning("runs without device buffers", shapes=_shapes(feeds), detail=text)


def _shapes(feeds: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in feeds.items()}


def device_runs(
    session: OrtSession, nodes: BoundNodes, execution: Execution, graphs: Graphs | None, library: CudaLibrary | None
) -> DeviceRuns:
    """Of the session, through buffers for the graph's `nodes`."""
    return DeviceRuns(
        session,
        DeviceBuffers(session, nodes.inputs, nodes.outputs, lambda shape, dtype: Staging(shape, dtype, library)),
        execution.gate,
        graphs,
        partial(use_card, library, execution.place.index),
    )


def check_device(text: str) -> None:
    """What an error of ONNX Runtime says of the card. Raises DeviceFaultError or ServingError (EXHAUSTED)."""
    if is_device_fault(text):
        raise DeviceFaultError(text) from None
    if is_device_full(text):
        message = "the device has no memory for so many rows of this size: send fewer, or try again"
        raise exhausted("DEVICE_MEMORY", message, retry_after_s=1.0) from None
