"""The native front: `argosy_front` (Rust, in `front/`) behind the interface of `front.py`, and its only importer.

Everything that happens to a request happens in Rust. Here dataclasses become its plain arguments, its figures become
dataclasses, and memory that it gathered becomes numpy arrays without a copy. Nothing in this module runs once a
request but `Batch.reply` and `Batch.fail`, which a worker calls; what callers see is stated by the portable front.
"""

from collections.abc import Callable, Mapping, Sequence

import argosy_front
import numpy as np

from services.runtime.batch_buffers import AnswersInPlace, BatchBuffers, BufferedRows
from services.runtime.errors import ServingError
from services.runtime.faults import unforeseen
from services.runtime.front import (
    MODEL_INFER,
    NO_REMARKS,
    Array,
    Limits,
    QueueSpec,
    Remarks,
    Signature,
    TensorSignature,
    Tls,
    TypedRoute,
    UnaryAnswer,
)
from services.runtime.front_stats import FrontStats
from services.runtime.native_interface import check_interface
from services.runtime.native_parts import crossing, error_parts, route_parts, tensor_parts
from services.runtime.native_stats import queue_stats
from services.runtime.tensors import DTYPES, datatype_of


class NativeFront:
    """A gRPC server in this process; see `front.Front` and, for the arguments, `portable_front.PortableFront`.

    Raises OSError where the wheel that is installed is of another version than this module.
    """

    def __init__(
        self,
        address: str,
        typed_routes: Sequence[TypedRoute],
        *,
        limits: Limits | None = None,
        tls: Tls | None = None,
    ) -> None:
        check_interface(getattr(argosy_front, "INTERFACE", 0))
        limits = limits or Limits()
        self._front = argosy_front.Front(
            address,
            list(map(route_parts, typed_routes)),
            limits.max_message_bytes,
            limits.max_metadata_bytes,
            limits.max_connection_age_s,
            limits.keepalive_interval_s,
            limits.keepalive_timeout_s,
            None if tls is None else (tls.certificate, tls.private_key, tls.client_ca),
        )

    @property
    def address(self) -> str:
        return self._front.address

    def open_queue(self, spec: QueueSpec) -> "NativeQueue":
        policy = spec.policy
        queue = self._front.open_queue(
            spec.model,
            spec.version,
            list(map(route_parts, spec.routes)),
            list(map(tensor_parts, spec.signature.inputs)),
            list(map(tensor_parts, spec.signature.outputs)),
            (
                policy.max_batch_rows,
                policy.capacity_rows,
                policy.max_wait_us,
                policy.instances,
                policy.max_request_rows,
                policy.priority_levels,
                policy.default_priority_level,
                policy.in_order,
            ),
            spec.device,
            policy.cache_bytes,
        )
        return NativeQueue(queue, spec)

    def close_queue(self, model: str, version: str) -> None:
        self._front.close_queue(model, version)

    def set_default_version(self, model: str, version: str | None) -> None:
        self._front.set_default_version(model, version)

    def set_unready(self, model: str, version: str, error: ServingError | None) -> None:
        self._front.set_unready(model, version, None if error is None else error_parts(error))

    def set_serving(self, name: str, serving: bool) -> None:
        self._front.set_serving(name, serving)

    def answer_unary(self, method: str, answer: UnaryAnswer) -> None:
        self._front.answer_unary(method, crossing(answer))

    def answer_stream(self, method: str, answer: UnaryAnswer) -> None:
        self._front.answer_stream(method, crossing(answer))

    def answer_watch(self, method: str, answer: UnaryAnswer) -> Callable[[], None]:
        return self._front.answer_watch(method, crossing(answer))

    def stats(self) -> FrontStats:
        queues, refusals = self._front.stats()
        return FrontStats(tuple(map(queue_stats, queues)), dict(refusals))

    def drain(self, grace_s: float, notice_s: float) -> None:
        self._front.drain(grace_s, notice_s)


class NativeQueue:
    """See `front.Queue`. `lends`: to one worker, whose batches of tensors share memory from the second on."""

    def __init__(
        self,
        queue: argosy_front.Queue,
        spec: QueueSpec,
        *,
        lends: bool = False,
        in_place: AnswersInPlace | None = None,
    ) -> None:
        self._queue, self._spec, self._lends, self._in_place = queue, spec, lends, in_place
        self._buffers: NativeBuffers | None = None
        self._methods = (MODEL_INFER, *(route.method for route in spec.routes))

    def for_worker(self, in_place: AnswersInPlace | None = None) -> "NativeQueue":
        return NativeQueue(self._queue, self._spec, lends=True, in_place=in_place)

    def take(self) -> "NativeBatch | None":
        buffers = self._buffers
        taken = self._queue.take(None) if buffers is None else self._left_alone(buffers)
        if taken is None:
            return None
        batch = NativeBatch(taken, self._spec, self._methods, buffers)
        if self._lends and batch.method == MODEL_INFER:
            self._lends, native = False, self._queue.buffers()
            self._buffers = None if native is None else NativeBuffers(native, self._spec.signature)
        return batch

    def close(self) -> None:
        self._queue.close()

    def _left_alone(self, buffers: "NativeBuffers") -> "argosy_front.Taken | None":
        """The next batch that is not answered in place."""
        take, in_place, native = self._queue.take, self._in_place, buffers.native
        while (taken := take(native)) is not None:
            batch, _, row_count, request_count, longest_wait_us, are_finite = taken
            if not are_finite or in_place is None:
                return taken
            rows = buffers.rows(row_count, are_finite)
            if not isinstance(rows, BufferedRows):
                return taken
            if not in_place.answer(batch, rows, request_count, longest_wait_us):
                return taken
            del taken, batch  # it must not outlive its answers while this worker waits for the next
        return None


class NativeBuffers(BatchBuffers):
    """Memory that Rust owns."""

    def __init__(self, native: argosy_front.Buffers, signature: Signature) -> None:
        inputs, outputs = _arrays(signature.inputs, native.inputs()), _arrays(signature.outputs, native.outputs())
        super().__init__(inputs, outputs)
        self.native = native


class NativeBatch:
    """See `front.Batch`. `methods`: all of the queue's; `buffers`: its worker's own."""

    def __init__(
        self, taken: "argosy_front.Taken", spec: QueueSpec, methods: Sequence[str], buffers: NativeBuffers | None
    ) -> None:
        self._batch, method, self.rows, self.request_count, self.longest_wait_us, are_finite = taken
        self._spec, self.method = spec, methods[method]
        rows = None if buffers is None or are_finite is None else buffers.rows(self.rows, are_finite)
        self._tensors, self._buffered_outputs = rows, rows.outputs if isinstance(rows, BufferedRows) else None
        self._is_closed = False
        self._messages: list[bytes] | None = None
        self._row_counts: tuple[int, ...] | None = None
        self._first_rows: tuple[int, ...] | None = None

    @property
    def messages(self) -> list[bytes]:
        if self._messages is None:
            self._messages = self._batch.messages()
        return self._messages

    @property
    def row_counts(self) -> tuple[int, ...]:
        if self._row_counts is None:
            self._row_counts = self._batch.row_counts()
        return self._row_counts

    @property
    def first_rows(self) -> tuple[int, ...]:
        if self._first_rows is None:
            self._first_rows = self._batch.first_rows()
        return self._first_rows

    def tensors(self) -> dict[str, Array]:
        if self._tensors is None:
            inputs = zip(self._spec.signature.inputs, self._batch.tensors(), strict=True)
            self._tensors = {tensor.name: _array(tensor, *parts) for tensor, parts in inputs}
        return self._tensors

    def reply_tensors(self, outputs: Mapping[str, Array], remarks: Remarks = NO_REMARKS) -> None:
        """Raises ValueError, with nothing answered, where an output is missing, has not the batch's rows, or is of a
        dtype that the protocol does not have.
        """
        if outputs is self._buffered_outputs:
            self._batch.reply_buffers(dict(remarks))
            return
        parts = [self._output_parts(tensor.name, outputs) for tensor in self._spec.signature.outputs]
        self._batch.reply_tensors(parts, dict(remarks))

    def reply(self, index: int, message: bytes) -> None:
        self._batch.reply(index, message)

    def fail(self, index: int, error: ServingError) -> None:
        self._batch.fail(index, error_parts(error))

    def on_abandoned(self, callback: Callable[[], None]) -> None:
        self._batch.on_abandoned(callback)

    @property
    def settled(self) -> bool:
        return self._batch.settled

    def close(self) -> None:
        self._is_closed = True
        if self._batch.unanswered:
            self._batch.fail_rest(error_parts(unforeseen("a worker left requests unanswered")))

    def __del__(self) -> None:
        if not self._is_closed:
            self.close()

    def _output_parts(
        self, name: str, outputs: Mapping[str, Array]
    ) -> tuple[str, tuple[int, ...], bytes | Sequence[bytes]]:
        array = outputs.get(name)
        if array is None:
            raise ValueError(f"output {name!r} is missing")
        if len(array) != self.rows:
            raise ValueError(f"output {name!r}: {self.rows} rows needed, got {len(array)}")
        datatype = datatype_of(array)
        return datatype, array.shape, array.ravel().tolist() if datatype == "BYTES" else array.tobytes()


def _array(tensor: TensorSignature, shape: tuple[int, ...], elements: argosy_front.Rows | list[bytes]) -> Array:
    if not isinstance(elements, list):
        return np.ndarray(shape, DTYPES[tensor.datatype], memoryview(elements))
    array = np.empty(len(elements), np.object_)
    array[:] = elements
    return array.reshape(shape)


def _arrays(tensors: Sequence[TensorSignature], memories: Sequence[argosy_front.Memory]) -> dict[str, Array]:
    """Each tensor, [max_batch_rows, ...], over its memory."""
    pairs = zip(tensors, memories, strict=True)
    return {
        tensor.name: np.frombuffer(memoryview(memory), DTYPES[tensor.datatype]).reshape(-1, *tensor.shape[1:])
        for tensor, memory in pairs
    }
