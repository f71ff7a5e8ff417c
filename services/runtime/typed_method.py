"""What the task code of a service is, as the runtime sees it: decode, collate, encode.

Vision, text and tabular differ in their domain alone. Each offers the typed methods of a model as objects of this
shape; the worker in `instance.py` does the rest for all of them: it decodes each request of a batch, collates those
that were right into one batch of tensors, runs the session, and encodes each request's rows of the outputs.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar, cast

from argosy.v1.manifest_pb2 import ModelManifest
from services.runtime.front import Array, TypedRoute

Request = TypeVar("Request")


class TypedMethod(Protocol[Request]):
    """One typed RPC of one model. `Request` is whatever decode leaves for collate and encode."""

    @property
    def route(self) -> TypedRoute: ...

    def decode(self, message: bytes) -> Request:
        """Parse, check and preprocess one request. Raises ServingError (INVALID_INPUT) for that request alone."""

    def collate(self, requests: Sequence[Request]) -> dict[str, Array]:
        """The model's inputs for the rows of all requests, in order: name -> [rows, ...]."""

    def encode(self, request: Request, outputs: Mapping[str, Array]) -> bytes:
        """The reply to one request from its own rows of the model's outputs: name -> [rows of the request, ...]."""


# What a service offers of a model, by its manifest and folder. Raises ServingError (REFUSED_LOAD).
TypedMethods: TypeAlias = Callable[[ModelManifest, Path], Sequence[TypedMethod[object]]]


def erased(make: Callable[[ModelManifest, Path], Sequence[TypedMethod[Request]]]) -> TypedMethods:
    """A service's maker of typed methods, for the runtime, which hands on a `Request` and never looks into it."""
    return cast("TypedMethods", make)
