"""What the task code of a service is, as the runtime sees it: decode, collate, encode.

Vision, text and tabular differ in their domain alone. Each offers the typed methods of a model as objects of this
shape; the worker in `instance.py` does the rest for all of them: it decodes each request of a batch, collates those
that were right into one batch of tensors, runs the session, and encodes each request's rows of the outputs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar, cast

from argosy.v1.manifest_pb2 import ModelManifest
from services.runtime.front import Array, TypedRoute
from services.runtime.shaping import MAX_PADDING

Request = TypeVar("Request")


class TypedMethod(Protocol[Request]):
    """One typed RPC of one model. `Request` is whatever decode leaves for collate and encode."""

    @property
    def route(self) -> TypedRoute: ...

    def decode(self, message: bytes) -> Request:
        """Parse, check and preprocess one request. Raises ServingError (INVALID_INPUT) for that request alone."""

    def collate(self, requests: Sequence[Request]) -> dict[str, Array]:
        """The model's inputs for the rows of all requests, in order: name -> [rows, ...]."""

    def row_lengths(self, requests: Sequence[Request]) -> Sequence[int]:
        """How much of the inputs' second dimension each of those rows fills; empty where rows are not padded."""

    def encode(self, request: Request, outputs: Mapping[str, Array]) -> bytes:
        """The reply to one request from its own rows of the model's outputs: name -> [rows of the request, ...]."""


# What a service offers of a model, by its manifest and folder. Raises ServingError (REFUSED_LOAD).
TypedMethods: TypeAlias = Callable[[ModelManifest, Path], Sequence[TypedMethod[object]]]


# Looks at tensors that a caller made by itself, name -> [rows, ...]. Raises ServingError (INVALID_INPUT) that names the
# tensor and the row, counted from 0, of the first element that the model must not get. Gives what the caller is to know
# of them: parameters that the answer has then, each of them true.
TensorCheck: TypeAlias = Callable[[Mapping[str, Array]], tuple[str, ...]]

# The check that a model's manifest asks for.
TensorChecks: TypeAlias = Callable[[ModelManifest], TensorCheck]

# How much of what a model's graph is run on may be padding, by its manifest: a share from 0 to 1.
PaddingLimits: TypeAlias = Callable[[ModelManifest], float]


def accept_all(inputs: Mapping[str, Array]) -> tuple[str, ...]:  # noqa: ARG001  whatever they are
    """Whatever fits the signature will do."""
    return ()


def unchecked(manifest: ModelManifest) -> TensorCheck:  # noqa: ARG001  for models of every manifest
    return accept_all


def usual_padding(manifest: ModelManifest) -> float:  # noqa: ARG001  for graphs that are told where a row ends
    return MAX_PADDING


def erased(make: Callable[[ModelManifest, Path], Sequence[TypedMethod[Request]]]) -> TypedMethods:
    """A service's maker of typed methods, for the runtime, which hands on a `Request` and never looks into it."""
    return cast("TypedMethods", make)


@dataclass(frozen=True, slots=True)
class TaskCode:
    """All that a service knows and the runtime does not."""

    typed_methods: TypedMethods
    tensor_checks: TensorChecks = unchecked
    padding_limits: PaddingLimits = usual_padding
