"""What the contract tests share: a front and a client on a real connection, requests, errors as a caller sees them.

Tests know `services.runtime.front` and gRPC, nothing of any one front. The test's own thread is the worker: it takes
when the test says so. `Served.until` waits by asking the front over the wire, never by sleeping.
"""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread

import grpc
import numpy as np
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from argosy.v1.text_pb2 import TextServiceEmbedRequest
from inference.grpc_service_pb2 import InferTensorContents, ModelInferRequest, ModelInferResponse
from services.runtime.batch_buffers import AnswersInPlace
from services.runtime.front import (
    Batch,
    Front,
    Queue,
    QueuePolicy,
    QueueSpec,
    Signature,
    TensorSignature,
    TypedRoute,
)
from services.runtime.front_stats import QueueStats
from services.runtime.fronts import PORTABLE

EMBED = TypedRoute("/argosy.v1.TextService/Embed", rows_field=3, rows_name="texts")
TAG = TypedRoute("/argosy.v1.TextService/Tag", rows_field=3, rows_name="texts")
OPEN = TypedRoute("/argosy.models.*", rows_field=3, rows_name="rows")
OWN = TypedRoute("/argosy.models.m.v1.MService/Ask", rows_field=3, rows_name="texts")
INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM_INFER = "/inference.GRPCInferenceService/ModelStreamInfer"

TAKE_TIMEOUT_S = 60

X_TO_Y = Signature(
    inputs=(TensorSignature("x", "FP32", (-1, -1)),),
    outputs=(TensorSignature("y", "FP32", (-1, -1)),),
)


def spec(
    model: str = "m",
    version: str = "1",
    signature: Signature = X_TO_Y,
    routes: tuple[TypedRoute, ...] = (EMBED,),
    **policy: int,
) -> QueueSpec:
    settings = {"max_batch_rows": 8, "capacity_rows": 64} | policy
    return QueueSpec(model, version, routes, signature, QueuePolicy(**settings), device="cpu")


def embed(*texts: str, model: str = "m", version: str = "") -> bytes:
    return TextServiceEmbedRequest(model=model, version=version, texts=texts or ("text",)).SerializeToString()


def raw_infer(
    x: Sequence[Sequence[float]] = ((1.0, 2.0),), model: str = "m", version: str = "", request_id: str = ""
) -> bytes:
    """A raw request for the model of `X_TO_Y`."""
    array = np.array(x, np.float32)
    request = ModelInferRequest(model_name=model, model_version=version, id=request_id)
    request.inputs.add(name="x", datatype="FP32", shape=array.shape)
    request.raw_input_contents.append(array.tobytes())
    return request.SerializeToString()


def tensor(
    name: str, datatype: str, shape: Iterable[int], **contents: Sequence[object]
) -> ModelInferRequest.InferInputTensor:
    """An input; with contents, a typed one."""
    typed = InferTensorContents(**contents) if contents else None
    return ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=shape, contents=typed)


@dataclass(frozen=True)
class Refusal:
    """An error as its caller sees it."""

    code: grpc.StatusCode
    message: str
    reason: str
    field: str = ""
    retry_after_s: float | None = None
    quota: str = ""


def refusal_of(error: grpc.RpcError) -> Refusal:
    """Read the error's details, and check what all errors have in common."""
    details = dict(error.trailing_metadata() or ())
    assert "grpc-status-details-bin" in details, f"no details with {error.code()}: {error.details()}"
    status = Status.FromString(details["grpc-status-details-bin"])
    found = {}
    for kind in (ErrorInfo, BadRequest, RetryInfo, QuotaFailure):
        for packed in status.details:
            if packed.Is(kind.DESCRIPTOR):
                found[kind] = kind.FromString(packed.value)
    assert status.code == error.code().value[0]
    assert status.message == error.details()
    assert len(error.details().encode()) <= 512
    info = found[ErrorInfo]
    assert info.domain == "argosy"
    assert info.reason.replace("_", "").isupper()
    retry, quota = found.get(RetryInfo), found.get(QuotaFailure)
    return Refusal(
        code=error.code(),
        message=error.details(),
        reason=info.reason,
        field=info.metadata.get("field", ""),
        retry_after_s=retry.retry_delay.ToNanoseconds() / 1e9 if retry else None,
        quota=quota.violations[0].subject if quota else "",
    )


def code_of_refusal(call: grpc.Future, reason: str, front_name: str) -> grpc.StatusCode:
    """For `reason`; in the portable front it is gRPC's own core that refuses, without details."""
    error = call.exception()
    assert error is not None, "the request was answered without an error"
    assert front_name == PORTABLE or refusal_of(error).reason == reason
    return error.code()


def reason_of(answer: Mapping[str, str]) -> str:
    """ErrorInfo's reason, from the trailers of a `RawConnection`; nothing where there are no details."""
    details = answer.get("grpc-status-details-bin", "")
    status = Status.FromString(base64.b64decode(details + "=" * (-len(details) % 4)))
    return "".join(ErrorInfo.FromString(packed.value).reason for packed in status.details[:1])


class PatientQueue:
    """Its `take` fails where nothing comes: the native one waits where no signal of a test's limit can end it."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue

    def take(self) -> Batch | None:
        taken: Future[Batch | None] = Future()
        Thread(target=lambda: taken.set_result(self.queue.take()), daemon=True).start()
        return taken.result(TAKE_TIMEOUT_S)

    def for_worker(self, in_place: AnswersInPlace | None = None) -> "PatientQueue":
        return PatientQueue(self.queue.for_worker(in_place))

    def close(self) -> None:
        self.queue.close()


class Served:
    """A front and a connection to it."""

    def __init__(self, front: Front, channel: grpc.Channel) -> None:
        self.front, self.channel = front, channel

    def open(self, queue_spec: QueueSpec | None = None) -> Queue:
        """Open a queue whose version is its model's default."""
        queue_spec = queue_spec or spec()
        self.front.set_default_version(queue_spec.model, queue_spec.version)
        return PatientQueue(self.front.open_queue(queue_spec))

    def send(
        self, message: bytes, method: str = EMBED.method, timeout_s: float | None = 30, **options: object
    ) -> grpc.Future:
        """Send a request; `result_of` or `refused` reads its answer."""
        return self.channel.unary_unary(method).future(message, timeout=timeout_s, **options)

    def infer(self, request: ModelInferRequest | bytes, **options: object) -> grpc.Future:
        message = request if isinstance(request, bytes) else request.SerializeToString()
        return self.send(message, INFER, **options)

    def health(self, name: str = "") -> int:
        answer = self.channel.unary_unary("/grpc.health.v1.Health/Check")(
            HealthCheckRequest(service=name).SerializeToString(), timeout=30
        )
        return HealthCheckResponse.FromString(answer).status

    def watch_health(self, name: str = "") -> grpc.Call:
        return self.channel.unary_stream("/grpc.health.v1.Health/Watch")(
            HealthCheckRequest(service=name).SerializeToString()
        )

    def stats(self) -> QueueStats:
        return self.front.stats().queues[0]

    def until(self, condition: Callable[[], bool]) -> None:
        """Give the front its turn, by a request it answers itself, until the condition holds."""
        while not condition():
            self.health()

    def give_turns(self, count: int = 1000) -> None:
        """Let pass what shows nowhere: a client fills the window of a stream that is not read."""
        for _ in range(count):
            self.health()

    def let_pass(self, duration_s: float) -> None:
        """So long, by a call that is answered nothing and ends by its deadline."""
        watch = self.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=duration_s)
        assert watch.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    def until_waiting(self, rows: int) -> None:
        self.until(lambda: self.stats().waiting_rows == rows)


def refused(call: grpc.Future) -> Refusal:
    """The error that a request was answered with."""
    error = call.exception()
    assert error is not None, "the request was answered without an error"
    return refusal_of(error)


def trailers_of(call: grpc.Future) -> Mapping[str, str]:
    return dict(call.trailing_metadata())


def answer(batch: Batch | None, prefix: bytes = b"") -> Batch:
    """Answer every request of a batch with `prefix` and its own message."""
    assert batch is not None
    for index, message in enumerate(batch.messages):
        batch.reply(index, prefix + message)
    return batch


def answer_infer(batch: Batch | None) -> Batch:
    """Answer a batch of the model of `X_TO_Y`: y is x doubled."""
    assert batch is not None
    batch.reply_tensors({"y": batch.tensors()["x"] * 2})
    return batch


def raw_y(answered: bytes) -> list[list[float]]:
    response = ModelInferResponse.FromString(answered)
    return np.frombuffer(response.raw_output_contents[0], np.float32).reshape(response.outputs[0].shape).tolist()
