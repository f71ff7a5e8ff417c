"""A client of an Argosy fleet: images, texts, table rows and tensors in, answers out.

`Fleet` blocks, `AsyncFleet` is for asyncio; both answer the same and raise the same. The package holds no server code.
"""

from argosy_client.aio import AsyncFleet
from argosy_client.answers import Category, Classification, Detection, Detections, Row, TaggedText, Token
from argosy_client.connection import Options
from argosy_client.errors import (
    ArgosyError,
    CancelledError,
    DeadlineExceededError,
    ExhaustedError,
    InternalError,
    InvalidInputError,
    MessageTooLargeError,
    NotFoundError,
    PermissionDeniedError,
    QueueFullError,
    UnauthenticatedError,
    UnavailableError,
    UndecodableImageError,
    UnknownColumnError,
    UnknownModelError,
    UnknownVersionError,
)
from argosy_client.fleet import Fleet
from argosy_client.replies import Reply, Timing

__all__ = [
    "ArgosyError",
    "AsyncFleet",
    "CancelledError",
    "Category",
    "Classification",
    "DeadlineExceededError",
    "Detection",
    "Detections",
    "ExhaustedError",
    "Fleet",
    "InternalError",
    "InvalidInputError",
    "MessageTooLargeError",
    "NotFoundError",
    "Options",
    "PermissionDeniedError",
    "QueueFullError",
    "Reply",
    "Row",
    "TaggedText",
    "Timing",
    "Token",
    "UnauthenticatedError",
    "UnavailableError",
    "UndecodableImageError",
    "UnknownColumnError",
    "UnknownModelError",
    "UnknownVersionError",
]
