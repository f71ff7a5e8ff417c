"""The blocking client: a fleet, and its models by what they are asked.

A `Fleet` holds one channel for all threads. Methods in the singular take one input and make one call; those that end in
`_all` take any number, in calls of a size that the fleet takes, one after the other, and answer as the replies come.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import TracebackType

import grpc
import numpy as np
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from numpy.typing import NDArray

from argosy.v1.manifest_pb2 import ModelManifest
from argosy.v1.model_pb2 import GetModelRequest, ListModelsRequest, ModelStatus, WatchModelsRequest
from argosy_client import methods, questions
from argosy_client.answers import Classification, Detections, Row, TaggedText, matrix
from argosy_client.batches import batches
from argosy_client.calls import Calls
from argosy_client.channels import open_channel
from argosy_client.connection import Options
from argosy_client.images import ImageInput
from argosy_client.methods import Method, Request, Response
from argosy_client.questions import Answer, Input, Question, Wire
from argosy_client.replies import Reply
from argosy_client.rows import RowInput, RowsInput, rows_of
from argosy_client.tensors import Array, arrays_of, infer_request, streamed


class Asking:
    """Carries questions out, call by call."""

    def __init__(self, calls: Calls, options: Options) -> None:
        self._calls, self._options = calls, options

    def one(self, question: Question[Input, Wire, Request, Response, Answer], value: Input) -> Answer:
        reply = self._calls.unary(question.method, question.request([question.encode(value)]), question.model)
        (answer,) = question.answers(reply.message)
        return answer

    def each(
        self, question: Question[Input, Wire, Request, Response, Answer], values: Iterable[Input]
    ) -> Iterator[Answer]:
        encoded = map(question.encode, values)
        limits = self._options.max_rows_per_call, self._options.max_input_bytes_per_call
        for batch in batches(encoded, question.size, *limits):
            reply = self._calls.unary(question.method, question.request(batch), question.model)
            yield from question.answers(reply.message)


class Fleet:
    """A router, or a single service, at `host:port`. Use it as a context manager, or `close` it. Thread-safe.

    `channel` is one that is open already, and stays open: with interceptors, to `xds:///`, or another fleet's.

    Every method raises ArgosyError. `close` ends what still runs with CancelledError.
    """

    def __init__(self, address: str, options: Options | None = None, channel: grpc.Channel | None = None) -> None:
        self.address = address
        self._options = options or Options()
        self._owned = channel is None
        self._channel = open_channel(address, self._options) if channel is None else channel
        self._calls = Calls(self._channel, self._options)
        self._asking = Asking(self._calls, self._options)

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._owned:
            self._channel.close()

    def within(self, timeout_s: float) -> "Fleet":
        """The same fleet over the same channel, with another timeout for each call."""
        return Fleet(self.address, replace(self._options, timeout_s=timeout_s), self._channel)

    def vision(self, model: str, version: str = "") -> "Vision":
        return Vision(self._asking, model, version)

    def text(self, model: str, version: str = "") -> "Text":
        return Text(self._asking, model, version)

    def tabular(self, model: str, version: str = "") -> "Tabular":
        return Tabular(self._asking, model, version)

    def tensors(self, model: str, version: str = "") -> "Tensors":
        return Tensors(self._calls, self._options, model, version)

    def models(self, model: str = "") -> list[ModelStatus]:
        """The versions of `model`, or of every model, and their state."""
        return list(self._calls.unary(methods.LIST_MODELS, ListModelsRequest(model=model), model).message.models)

    def watch_models(self, model: str = "") -> Iterator[list[ModelStatus]]:
        """As `models`, now and after every change, until the iterator is closed."""
        for change in self._calls.watch(methods.WATCH_MODELS, WatchModelsRequest(model=model), model):
            yield list(change.models)

    def manifest(self, model: str, version: str = "") -> ModelManifest:
        """What the model reads and answers, and how it was proven."""
        return self._calls.unary(
            methods.GET_MODEL, GetModelRequest(model=model, version=version), model
        ).message.manifest

    def health(self, name: str = "") -> str:
        """SERVING or NOT_SERVING: of the whole ('') or of a model or service. Raises NotFoundError for another name."""
        reply = self._calls.unary(methods.HEALTH, HealthCheckRequest(service=name))
        return HealthCheckResponse.ServingStatus.Name(reply.message.status)

    def call(
        self, method: Method[Request, Response], request: Request, model: str = "", timeout_s: float | None = None
    ) -> Reply[Response]:
        """Any unary method of protos/, with its trailers."""
        return self._calls.unary(method, request, model, timeout_s)


class Vision:
    """A model that reads images: a path, a file's bytes, a PIL image or numpy pixels."""

    def __init__(self, asking: Asking, model: str, version: str) -> None:
        self._asking, self._model, self._version = asking, model, version

    def classify(self, image: ImageInput, top_k: int = 0) -> Classification:
        """The likeliest `top_k` classes; 0 means 5."""
        return self._asking.one(questions.classify_images(self._model, self._version, top_k), image)

    def classify_all(self, images: Iterable[ImageInput], top_k: int = 0) -> Iterator[Classification]:
        return self._asking.each(questions.classify_images(self._model, self._version, top_k), images)

    def detect(self, image: ImageInput, min_score: float | None = None) -> Detections:
        """The objects scored at least `min_score`; None means the model's own threshold."""
        return self._asking.one(questions.detect(self._model, self._version, min_score), image)

    def detect_all(self, images: Iterable[ImageInput], min_score: float | None = None) -> Iterator[Detections]:
        return self._asking.each(questions.detect(self._model, self._version, min_score), images)

    def embed(self, image: ImageInput) -> NDArray[np.float32]:
        """float32[width]."""
        return self._asking.one(questions.embed_images(self._model, self._version), image)

    def embed_all(self, images: Iterable[ImageInput]) -> NDArray[np.float32]:
        """float32[images, width]; [0, 0] for none."""
        return matrix(self._asking.each(questions.embed_images(self._model, self._version), images))


class Text:
    """A model that reads text."""

    def __init__(self, asking: Asking, model: str, version: str) -> None:
        self._asking, self._model, self._version = asking, model, version

    def classify(self, text: str, top_k: int = 0) -> Classification:
        """The likeliest `top_k` classes; 0 means 5."""
        return self._asking.one(questions.classify_texts(self._model, self._version, top_k), text)

    def classify_all(self, texts: Iterable[str], top_k: int = 0) -> Iterator[Classification]:
        return self._asking.each(questions.classify_texts(self._model, self._version, top_k), texts)

    def embed(self, text: str) -> NDArray[np.float32]:
        """float32[width]."""
        return self._asking.one(questions.embed_texts(self._model, self._version), text)

    def embed_all(self, texts: Iterable[str]) -> NDArray[np.float32]:
        """float32[texts, width]; [0, 0] for none."""
        return matrix(self._asking.each(questions.embed_texts(self._model, self._version), texts))

    def tag(self, text: str) -> TaggedText:
        return self._asking.one(questions.tag(self._model, self._version), text)

    def tag_all(self, texts: Iterable[str]) -> Iterator[TaggedText]:
        return self._asking.each(questions.tag(self._model, self._version), texts)


class Tabular:
    """A model that reads rows of named columns, in the units that its manifest states."""

    def __init__(self, asking: Asking, model: str, version: str) -> None:
        self._asking, self._model, self._version = asking, model, version

    def predict(self, row: RowInput) -> Row:
        return self._asking.one(questions.predict_rows(self._model, self._version), row)

    def predict_all(self, rows: RowsInput) -> Iterator[Row]:
        """`rows`: mappings, or a pandas DataFrame."""
        return self._asking.each(questions.predict_rows(self._model, self._version), rows_of(rows))


class Tensors:
    """A model's own tensors, by the Open Inference Protocol: numpy in, numpy out, nothing preprocessed."""

    def __init__(self, calls: Calls, options: Options, model: str, version: str) -> None:
        self._calls, self._options, self._model, self._version = calls, options, model, version

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by name, each [rows, ...]."""
        request = infer_request(self._model, self._version, inputs)
        return arrays_of(self._calls.unary(methods.MODEL_INFER, request, self._model).message)

    def stream(
        self, inputs: Iterable[Mapping[str, Array]], timeout_s: float | None = None
    ) -> Iterator[dict[str, Array]]:
        """One answer a request, in order, over one stream, which `timeout_s` bounds as a whole."""
        requests = (infer_request(self._model, self._version, one) for one in inputs)
        timeout_s = self._options.timeout_s if timeout_s is None else timeout_s
        for reply in self._calls.exchange(methods.STREAM_INFER, requests, self._model, self._version, timeout_s):
            yield streamed(reply)
