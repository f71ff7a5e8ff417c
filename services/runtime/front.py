"""What a front is, as the rest of a service sees it.

A front speaks gRPC in the service's own process so that Python need not: it admits requests into a bounded queue a
model-version, hands a worker thread a whole batch at a time, and sends the answers back. There are two with this
interface: the native one (Rust) and `portable_front.py` (grpcio). Nothing above this module knows which it has.

A front knows gRPC, bytes, tensors of the Open Inference Protocol, queues and time. It deliberately knows nothing of
images, texts, tables or ONNX Runtime.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.runtime.errors import ServingError
from services.runtime.front_stats import FrontStats

if TYPE_CHECKING:
    from services.runtime.batch_buffers import AnswersInPlace

MEBIBYTE = 1 << 20

MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"

# Rows, images and texts are numbers of every dtype that the Open Inference Protocol has; BYTES arrays hold `bytes`.
Array: TypeAlias = NDArray[np.generic]

# What callers are to know of their own tensors, by the request's index: parameters of its answer, each of them true.
Remarks: TypeAlias = Mapping[int, Sequence[str]]
NO_REMARKS: Remarks = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files. With `client_ca` a client must show a certificate that it signed."""

    certificate: Path
    private_key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection and one message may cost."""

    max_message_bytes: int = 64 * MEBIBYTE
    max_metadata_bytes: int = 16 * 1024
    max_connection_age_s: float = 600.0
    keepalive_interval_s: float = 10.0
    keepalive_timeout_s: float = 2.0


@dataclass(frozen=True, slots=True)
class TensorSignature:
    """One input or output on the wire: -1 in `shape` varies; the first dimension counts rows."""

    name: str
    datatype: str  # as the Open Inference Protocol spells it: FP32, INT64, BYTES …
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """What ModelInfer of one model-version reads and answers."""

    inputs: tuple[TensorSignature, ...]
    outputs: tuple[TensorSignature, ...]


@dataclass(frozen=True, slots=True)
class TypedRoute:
    """A typed method that feeds a queue: `rows_field` is the number of the repeated field whose elements are rows.

    Of the methods that a front is made with, one that ends in '*' is open: it stands for every method that begins so.
    Which of them there are the queues say, as they come and go.
    """

    method: str  # '/argosy.v1.TextService/Embed'
    rows_field: int
    rows_name: str  # 'texts', for messages


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """How requests become batches: a batch leaves when a worker is free, or `max_wait_us` after its first request.

    A request of more rows than `max_batch_rows` leaves in parts. Of `priority_levels` 1 leaves first, always; a request
    that asks for none, or for one that there is not, has the default one.
    """

    max_batch_rows: int
    capacity_rows: int
    max_wait_us: int = 0
    instances: int = 1  # workers that take from the queue: what is ahead is shared among them
    max_request_rows: int = 4096  # a request of more is wrong: a message of 64 MiB could hold millions
    cache_bytes: int = 0  # what answers that are kept may take, with their keys; 0: none is kept
    priority_levels: int = 1
    default_priority_level: int = 1
    in_order: bool = False  # of a model that keeps a state: who cannot run with the first lets nobody past

    def level(self, priority: int) -> int:
        """The level of a request that asks for `priority`, 0 for none: as Triton has it."""
        return priority if 1 <= priority <= self.priority_levels else self.default_priority_level


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """One model-version's queue: its typed methods and ModelInfer wait in it side by side, oldest first."""

    model: str
    version: str
    routes: tuple[TypedRoute, ...]
    signature: Signature
    policy: QueuePolicy
    device: str  # told to callers in the trailers: 'cpu', 'cuda:0'


class Batch(Protocol):
    """Requests of one method that run together. Each is answered once; what is dropped unanswered becomes INTERNAL."""

    @property
    def method(self) -> str: ...

    @property
    def request_count(self) -> int:
        """How many they are."""

    @property
    def rows(self) -> int:
        """Of all of them."""

    @property
    def messages(self) -> Sequence[bytes]:
        """The raw requests; of a typed one that runs in parts, the same message with the part's rows alone."""

    @property
    def row_counts(self) -> Sequence[int]:
        """Rows in each request."""

    @property
    def longest_wait_us(self) -> int:
        """How long the request that has waited longest had waited when the batch left."""

    @property
    def first_rows(self) -> Sequence[int]:
        """Where the rows of each begin in what its caller sent: 0, but in the later parts of a request."""

    def tensors(self) -> dict[str, Array]:
        """ModelInfer only: each input with the rows of all requests, in order, [rows, ...]. Of a queue
        `for_worker` perhaps `BufferedRows`, good until the batch is dropped.
        """

    def reply_tensors(self, outputs: Mapping[str, Array], remarks: Remarks = NO_REMARKS) -> None:
        """ModelInfer only: answer every request that has no answer yet with its rows of each output. All outputs have
        the batch's rows.
        """

    def reply(self, index: int, message: bytes) -> None:
        """Answer one request with an encoded message."""

    def fail(self, index: int, error: ServingError) -> None:
        """Answer one request with an error."""

    def on_abandoned(self, callback: Callable[[], None]) -> None:
        """Call back, from any thread and at most once, when every caller of the batch has gone."""

    @property
    def settled(self) -> bool:
        """Whether all is answered without `on_abandoned` having called back, which it then never does."""

    def close(self) -> None:
        """Answer INTERNAL to whatever is unanswered. Runs by itself when the batch is dropped."""


class Queue(Protocol):
    """The requests of one model-version, from the worker's side."""

    def take(self) -> Batch | None:
        """Wait for a batch, without the GIL. None once the queue is closed and empty."""

    def for_worker(self, in_place: "AnswersInPlace | None" = None) -> "Queue":
        """The same queue for one thread, which drops each batch before it takes the next: where all tensors are of
        numbers, of a known size and small, the batches of that thread may share memory. `take` hands out what
        `in_place` has left alone, if it is given.
        """

    def close(self) -> None:
        """Admit no more; what waits is still handed out."""


UnaryAnswer: TypeAlias = Callable[[bytes], bytes]


class Front(Protocol):
    """A gRPC server. It serves as soon as it is made; health says NOT_SERVING until told otherwise."""

    @property
    def address(self) -> str:
        """host:port that it listens on, with the port that was given for 0."""

    def open_queue(self, spec: QueueSpec) -> Queue:
        """Admit requests for a model-version from now on. A queue of the same model-version that was open before is
        closed, and no request falls between the two.
        """

    def close_queue(self, model: str, version: str) -> None:
        """Admit no more requests for a model-version; what it has accepted is still answered."""

    def set_default_version(self, model: str, version: str | None) -> None:
        """Which version answers a request that names none."""

    def set_unready(self, model: str, version: str, error: ServingError | None) -> None:
        """Answer requests for a version that has no queue with `error`; None forgets it: NOT_FOUND again."""

    def set_serving(self, name: str, serving: bool) -> None:
        """What grpc.health.v1 says of a service or a model; '' is the whole process."""

    def answer_unary(self, method: str, answer: UnaryAnswer) -> None:
        """Answer a rare method outside the queues, on a thread of its own. `answer` may raise ServingError."""

    def answer_stream(self, method: str, answer: UnaryAnswer) -> None:
        """As `answer_unary`, for every message of a stream, in order."""

    def answer_watch(self, method: str, answer: UnaryAnswer) -> Callable[[], None]:
        """Stream to every caller of a rare method what `answer` says now, and again after each change of it. What is
        returned tells the front of a change; call it from any thread.
        """

    def stats(self) -> FrontStats: ...

    def drain(self, grace_s: float, notice_s: float) -> None:
        """Say NOT_SERVING, go on for `notice_s` so that balancers can have seen it, then take nothing new, finish
        what was accepted within `grace_s`, and stop.
        """
