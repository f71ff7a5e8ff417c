"""The asyncio client: the methods of `fleet.py`, to be awaited, and what is iterated there with `async for` here.

Where there are many inputs, a few calls are on their way at once: the fleet works while replies travel.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from dataclasses import replace
from types import TracebackType

import numpy as np
from grpc import aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from numpy.typing import NDArray

from argosy.v1.manifest_pb2 import ModelManifest
from argosy.v1.model_pb2 import GetModelRequest, ListModelsRequest, ModelStatus, WatchModelsRequest
from argosy_client import methods, questions
from argosy_client.answers import Classification, Detections, Row, TaggedText, matrix
from argosy_client.async_calls import AsyncCalls
from argosy_client.batches import batches
from argosy_client.channels import open_aio_channel
from argosy_client.connection import Options
from argosy_client.images import ImageInput
from argosy_client.methods import Method, Request, Response
from argosy_client.questions import Answer, Input, Question, Wire
from argosy_client.replies import Reply
from argosy_client.rows import RowInput, RowsInput, rows_of
from argosy_client.tensors import Array, arrays_of, infer_request, streamed

# Enough that two instances of a model never wait for a reply's way back.
_CALLS_AT_ONCE = 4


class AsyncAsking:
    """Carries questions out, a few calls at once."""

    def __init__(self, calls: AsyncCalls, options: Options) -> None:
        self._calls, self._options = calls, options

    async def one(self, question: Question[Input, Wire, Request, Response, Answer], value: Input) -> Answer:
        (answer,) = await self._call(question, [question.encode(value)])
        return answer

    async def each(
        self, question: Question[Input, Wire, Request, Response, Answer], values: Iterable[Input]
    ) -> AsyncIterator[Answer]:
        """The answers in order. What is on its way is cancelled where the caller stops."""
        limits = self._options.max_rows_per_call, self._options.max_input_bytes_per_call
        under_way: deque[asyncio.Task[list[Answer]]] = deque()
        try:
            for batch in batches(map(question.encode, values), question.size, *limits):
                under_way.append(asyncio.create_task(self._call(question, batch)))
                if len(under_way) == _CALLS_AT_ONCE:
                    for answer in await under_way.popleft():
                        yield answer
            while under_way:
                for answer in await under_way.popleft():
                    yield answer
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _call(
        self, question: Question[Input, Wire, Request, Response, Answer], batch: list[Wire]
    ) -> list[Answer]:
        reply = await self._calls.unary(question.method, question.request(batch), question.model)
        return list(question.answers(reply.message))


class AsyncFleet:
    """A router, or a single service, at `host:port`; belongs to the event loop that it is made on.

    Every method raises ArgosyError. `close` ends what still runs with CancelledError.
    """

    def __init__(self, address: str, options: Options | None = None, channel: aio.Channel | None = None) -> None:
        self.address = address
        self._options = options or Options()
        self._owned = channel is None
        self._channel = open_aio_channel(address, self._options) if channel is None else channel
        self._calls = AsyncCalls(self._channel, self._options)
        self._asking = AsyncAsking(self._calls, self._options)

    async def __aenter__(self) -> "AsyncFleet":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        if self._owned:
            await self._channel.close()

    def within(self, timeout_s: float) -> "AsyncFleet":
        """The same fleet over the same channel, with another timeout for each call."""
        return AsyncFleet(self.address, replace(self._options, timeout_s=timeout_s), self._channel)

    def vision(self, model: str, version: str = "") -> "AsyncVision":
        return AsyncVision(self._asking, model, version)

    def text(self, model: str, version: str = "") -> "AsyncText":
        return AsyncText(self._asking, model, version)

    def tabular(self, model: str, version: str = "") -> "AsyncTabular":
        return AsyncTabular(self._asking, model, version)

    def tensors(self, model: str, version: str = "") -> "AsyncTensors":
        return AsyncTensors(self._calls, self._options, model, version)

    async def models(self, model: str = "") -> list[ModelStatus]:
        """The versions of `model`, or of every model, and their state."""
        return list(
            (await self._calls.unary(methods.LIST_MODELS, ListModelsRequest(model=model), model)).message.models
        )

    async def watch_models(self, model: str = "") -> AsyncIterator[list[ModelStatus]]:
        """As `models`, now and after every change."""
        async for change in self._calls.watch(methods.WATCH_MODELS, WatchModelsRequest(model=model), model):
            yield list(change.models)

    async def manifest(self, model: str, version: str = "") -> ModelManifest:
        """What the model reads and answers, and how it was proven."""
        reply = await self._calls.unary(methods.GET_MODEL, GetModelRequest(model=model, version=version), model)
        return reply.message.manifest

    async def health(self, name: str = "") -> str:
        """SERVING or NOT_SERVING: of the whole ('') or of a model or service. Raises NotFoundError for another name."""
        reply = await self._calls.unary(methods.HEALTH, HealthCheckRequest(service=name))
        return HealthCheckResponse.ServingStatus.Name(reply.message.status)

    async def call(
        self, method: Method[Request, Response], request: Request, model: str = "", timeout_s: float | None = None
    ) -> Reply[Response]:
        """Any unary method of protos/, with its trailers."""
        return await self._calls.unary(method, request, model, timeout_s)


class AsyncVision:
    """A model that reads images: a path, a file's bytes, a PIL image or numpy pixels."""

    def __init__(self, asking: AsyncAsking, model: str, version: str) -> None:
        self._asking, self._model, self._version = asking, model, version

    async def classify(self, image: ImageInput, top_k: int = 0) -> Classification:
        return await self._asking.one(questions.classify_images(self._model, self._version, top_k), image)

    def classify_all(self, images: Iterable[ImageInput], top_k: int = 0) -> AsyncIterator[Classification]:
        return self._asking.each(questions.classify_images(self._model, self._version, top_k), images)

    async def detect(self, image: ImageInput, min_score: float | None = None) -> Detections:
        return await self._asking.one(questions.detect(self._model, self._version, min_score), image)

    def detect_all(self, images: Iterable[ImageInput], min_score: float | None = None) -> AsyncIterator[Detections]:
        return self._asking.each(questions.detect(self._model, self._version, min_score), images)

    async def embed(self, image: ImageInput) -> NDArray[np.float32]:
        return await self._asking.one(questions.embed_images(self._model, self._version), image)

    async def embed_all(self, images: Iterable[ImageInput]) -> NDArray[np.float32]:
        question = questions.embed_images(self._model, self._version)
        return matrix([vector async for vector in self._asking.each(question, images)])


class AsyncText:
    """A model that reads text."""

    def __init__(self, asking: AsyncAsking, model: str, version: str) -> None:
        self._asking, self._model, self._version = asking, model, version

    async def classify(self, text: str, top_k: int = 0) -> Classification:
        return await self._asking.one(questions.classify_texts(self._model, self._version, top_k), text)

    def classify_all(self, texts: Iterable[str], top_k: int = 0) -> AsyncIterator[Classification]:
        return self._asking.each(questions.classify_texts(self._model, self._version, top_k), texts)

    async def embed(self, text: str) -> NDArray[np.float32]:
        return await self._asking.one(questions.embed_texts(self._model, self._version), text)

    async def embed_all(self, texts: Iterable[str]) -> NDArray[np.float32]:
        question = questions.embed_texts(self._model, self._version)
        return matrix([vector async for vector in self._asking.each(question, texts)])

    async def tag(self, text: str) -> TaggedText:
        return await self._asking.one(questions.tag(self._model, self._version), text)

    def tag_all(self, texts: Iterable[str]) -> AsyncIterator[TaggedText]:
        return self._asking.each(questions.tag(self._model, self._version), texts)


class AsyncTabular:
    """A model that reads rows of named columns, in the units that its manifest states."""

    def __init__(self, asking: AsyncAsking, model: str, version: str) -> None:
        self._asking, self._model, self._version = asking, model, version

    async def predict(self, row: RowInput) -> Row:
        return await self._asking.one(questions.predict_rows(self._model, self._version), row)

    def predict_all(self, rows: RowsInput) -> AsyncIterator[Row]:
        """`rows`: mappings, or a pandas DataFrame."""
        return self._asking.each(questions.predict_rows(self._model, self._version), rows_of(rows))


class AsyncTensors:
    """A model's own tensors, by the Open Inference Protocol: numpy in, numpy out, nothing preprocessed."""

    def __init__(self, calls: AsyncCalls, options: Options, model: str, version: str) -> None:
        self._calls, self._options, self._model, self._version = calls, options, model, version

    async def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by name, each [rows, ...]."""
        request = infer_request(self._model, self._version, inputs)
        return arrays_of((await self._calls.unary(methods.MODEL_INFER, request, self._model)).message)

    async def stream(
        self, inputs: AsyncIterable[Mapping[str, Array]], timeout_s: float | None = None
    ) -> AsyncIterator[dict[str, Array]]:
        """One answer a request, in order, over one stream, which `timeout_s` bounds as a whole."""
        requests = (infer_request(self._model, self._version, one) async for one in inputs)
        timeout_s = self._options.timeout_s if timeout_s is None else timeout_s
        async for reply in self._calls.exchange(methods.STREAM_INFER, requests, self._model, self._version, timeout_s):
            yield streamed(reply)
