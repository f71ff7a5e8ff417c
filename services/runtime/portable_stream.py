"""ModelStreamInfer in the portable front: answers in the order of the requests, errors inside the answers.

A request's error is an answer and does not end the stream. Every request has one answer, which therefore says, as
Triton's do, that it is the last. Of one stream at most `_WINDOW` requests are under way and
about one message limit of bytes: beyond that it is read no further, so a caller who sends and does not read fills no
memory. As Triton does it: https://github.com/triton-inference-server/common/blob/main/protobuf/grpc_service.proto
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from inference.grpc_service_pb2 import ModelInferRequest, ModelInferResponse, ModelStreamInferResponse
from services.runtime.errors import ServingError, unavailable, without_frames
from services.runtime.faults import foreseen
from services.runtime.front import MODEL_INFER
from services.runtime.portable_predictions import Predictions
from services.runtime.portable_refusals import Refusals
from services.runtime.portable_routing import Routing, routing_of
from services.runtime.rpc_errors import Context
from services.runtime.status import bounded_message

MODEL_STREAM_INFER = "/inference.GRPCInferenceService/ModelStreamInfer"

_WINDOW = 64
_FINAL_RESPONSE = "triton_final_response"


@dataclass(frozen=True, slots=True)
class _Element:
    answer: asyncio.Task[bytes]
    message_bytes: int


class _Window:
    """The requests of one stream that are under way, in order."""

    def __init__(self, max_bytes: int) -> None:
        self._elements: deque[_Element] = deque()
        self._max_bytes, self._bytes = max_bytes, 0
        self._ended = False
        self._changed = asyncio.Event()

    async def add(self, element: _Element) -> None:
        """Take the element in and wait for room for another."""
        self._elements.append(element)
        self._bytes += element.message_bytes
        self._notify()
        await self._until(lambda: len(self._elements) < _WINDOW and self._bytes < self._max_bytes)

    async def first(self) -> _Element | None:
        """Wait for the oldest; None once the last has gone."""
        await self._until(lambda: bool(self._elements) or self._ended)
        return self._elements[0] if self._elements else None

    def remove_first(self) -> None:
        self._bytes -= self._elements.popleft().message_bytes
        self._notify()

    def end(self) -> None:
        self._ended = True
        self._notify()

    def cancel(self) -> None:
        for element in self._elements:
            element.answer.cancel()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._changed.wait()


class InferStreams:
    """Answers ModelStreamInfer. Lives on the event loop."""

    def __init__(self, predictions: Predictions, refusals: Refusals, max_window_bytes: int) -> None:
        self._predictions, self._refusals, self._max_window_bytes = predictions, refusals, max_window_bytes
        self._reading: set[asyncio.Task[None]] = set()
        self._draining = False

    async def answer(self, messages: AsyncIterator[bytes], context: Context) -> None:
        window = _Window(self._max_window_bytes)
        reading = asyncio.create_task(self._read(messages, context, window))
        reading.add_done_callback(lambda _: window.end())
        self._reading.add(reading)
        try:
            if self._draining:
                reading.cancel()
            while (element := await window.first()) is not None:
                await context.write(await element.answer)
                window.remove_first()
        finally:
            self._reading.discard(reading)
            reading.cancel()
            window.cancel()
        if self._draining:
            await self._refusals.abort(context, unavailable("DRAINING", "the service is shutting down"))

    def drain(self) -> None:
        """Read no further: what was read is answered, then the streams end."""
        self._draining = True
        for reading in self._reading:
            reading.cancel()

    async def _read(self, messages: AsyncIterator[bytes], context: Context, window: _Window) -> None:
        routing = routing_of(context)
        async for message in messages:
            queued = asyncio.Event()
            answer = asyncio.create_task(self._element(message, context, routing, queued))
            routing = routing.without_sequence()
            await window.add(_Element(answer, len(message)))
            await queued.wait()  # a small message must not overtake a large one, which takes longer to be read

    async def _element(self, message: bytes, context: Context, routing: Routing, queued: asyncio.Event) -> bytes:
        try:
            _, answer = await self._predictions.predict(MODEL_INFER, message, context, routing, queued.set)
            outcome = answer.outcome
            if not isinstance(outcome, ServingError):
                outcome = self._predictions.sendable(_wrapped(outcome))
            if not isinstance(outcome, ServingError):
                return outcome
        except ServingError as error:
            outcome = without_frames(error)
        self._refusals.count(outcome)
        return _error_answer(message, outcome).SerializeToString()


def _wrapped(message: bytes) -> bytes:
    with foreseen("an answer is no ModelInferResponse"):
        response = ModelInferResponse.FromString(message)
        response.parameters[_FINAL_RESPONSE].bool_param = True
        return ModelStreamInferResponse(infer_response=response).SerializeToString()


def _error_answer(message: bytes, error: ServingError) -> ModelStreamInferResponse:
    answer = ModelStreamInferResponse(error_message=bounded_message(error))
    answer.infer_response.parameters[_FINAL_RESPONSE].bool_param = True
    with suppress(DecodeError):
        request = ModelInferRequest.FromString(message)
        answer.infer_response.id = request.id
        answer.infer_response.model_name = request.model_name
        answer.infer_response.model_version = request.model_version
    return answer
