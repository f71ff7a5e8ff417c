"""What can be asked, each as one value: the method, how inputs become its requests, how a reply becomes answers.

So the sync and the asyncio client say each method once between them: they differ only in how they wait. Pure.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from google.protobuf.struct_pb2 import Struct
from numpy.typing import NDArray

from argosy.v1 import tabular_pb2, text_pb2, vision_pb2
from argosy_client import answers, methods
from argosy_client.errors import unusable_input, utf8
from argosy_client.images import ImageInput, image_bytes
from argosy_client.methods import Method, Request, Response
from argosy_client.rows import RowInput, struct_of

Input = TypeVar("Input")
Wire = TypeVar("Wire")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Question(Generic[Input, Wire, Request, Response, Answer]):
    """One method of a model: `encode` an input, `size` it in bytes, `request` for some, `answers` of a reply."""

    method: Method[Request, Response]
    model: str
    encode: Callable[[Input], Wire]
    size: Callable[[Wire], int]
    request: Callable[[Sequence[Wire]], Request]
    answers: Callable[[Response], Sequence[Answer]]


def classify_images(
    model: str, version: str, top_k: int
) -> Question[
    ImageInput,
    bytes,
    vision_pb2.VisionServiceClassifyRequest,
    vision_pb2.VisionServiceClassifyResponse,
    answers.Classification,
]:
    request = vision_pb2.VisionServiceClassifyRequest
    return Question(
        methods.CLASSIFY_IMAGES,
        model,
        image_bytes,
        len,
        lambda images: request(model=model, version=version, images=images, top_k=top_k),
        lambda reply: [answers.image_classification(result) for result in reply.results],
    )


def detect(
    model: str, version: str, min_score: float | None
) -> Question[
    ImageInput,
    bytes,
    vision_pb2.VisionServiceDetectRequest,
    vision_pb2.VisionServiceDetectResponse,
    answers.Detections,
]:
    request = vision_pb2.VisionServiceDetectRequest
    return Question(
        methods.DETECT,
        model,
        image_bytes,
        len,
        lambda images: request(model=model, version=version, images=images, min_score=min_score),
        lambda reply: [answers.detections(result) for result in reply.results],
    )


def embed_images(
    model: str, version: str
) -> Question[
    ImageInput,
    bytes,
    vision_pb2.VisionServiceEmbedRequest,
    vision_pb2.VisionServiceEmbedResponse,
    NDArray[np.float32],
]:
    request = vision_pb2.VisionServiceEmbedRequest
    return Question(
        methods.EMBED_IMAGES,
        model,
        image_bytes,
        len,
        lambda images: request(model=model, version=version, images=images),
        lambda reply: [answers.vector(result) for result in reply.results],
    )


def classify_texts(
    model: str, version: str, top_k: int
) -> Question[
    str, str, text_pb2.TextServiceClassifyRequest, text_pb2.TextServiceClassifyResponse, answers.Classification
]:
    request = text_pb2.TextServiceClassifyRequest
    return Question(
        methods.CLASSIFY_TEXTS,
        model,
        _text,
        _utf8_bytes,
        lambda texts: request(model=model, version=version, texts=texts, top_k=top_k),
        lambda reply: [answers.text_classification(result) for result in reply.results],
    )


def embed_texts(
    model: str, version: str
) -> Question[str, str, text_pb2.TextServiceEmbedRequest, text_pb2.TextServiceEmbedResponse, NDArray[np.float32]]:
    request = text_pb2.TextServiceEmbedRequest
    return Question(
        methods.EMBED_TEXTS,
        model,
        _text,
        _utf8_bytes,
        lambda texts: request(model=model, version=version, texts=texts),
        lambda reply: [answers.text_vector(result) for result in reply.results],
    )


def tag(
    model: str, version: str
) -> Question[str, str, text_pb2.TextServiceTagRequest, text_pb2.TextServiceTagResponse, answers.TaggedText]:
    request = text_pb2.TextServiceTagRequest
    return Question(
        methods.TAG,
        model,
        _text,
        _utf8_bytes,
        lambda texts: request(model=model, version=version, texts=texts),
        lambda reply: [answers.tagged_text(result) for result in reply.results],
    )


def predict_rows(
    model: str, version: str
) -> Question[
    RowInput, Struct, tabular_pb2.TabularServicePredictRequest, tabular_pb2.TabularServicePredictResponse, answers.Row
]:
    request = tabular_pb2.TabularServicePredictRequest
    return Question(
        methods.PREDICT,
        model,
        struct_of,
        Struct.ByteSize,
        lambda rows: request(model=model, version=version, rows=rows),
        lambda reply: [answers.row(result) for result in reply.results],
    )


def _text(text: str) -> str:
    """Raises InvalidInputError where it is no Unicode text."""
    if not isinstance(text, str):
        raise unusable_input(f"expected a text, got {type(text).__name__}", "texts")
    utf8(text, "texts")
    return text


def _utf8_bytes(text: str) -> int:
    # An upper bound that needs no encoding.
    return 4 * len(text)
