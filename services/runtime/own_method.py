"""A method that a model has for itself: a typed method of its service, answered in the model's own messages.

The messages are made of the manifest (`stubs/`), as the .proto that `argosy stub` writes. What a request asks, what is
wrong with it and what the model answers is the typed method's; only the words differ: classes are an enum's values,
columns and landmarks fields.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from argosy.v1.manifest_pb2 import ModelManifest
from argosy.v1.prediction_pb2 import Category
from services.runtime.errors import ServingError
from services.runtime.front import Array, TypedRoute
from services.runtime.wire import MALFORMED, malformed, request_name
from stubs.classes import Classes
from stubs.declaration import Declaration
from stubs.messages import message_name
from stubs.names import EVERY_METHOD, ROWS_FIELD, StubError, path_of
from stubs.stub import stub_of

Request = TypeVar("Request")
Result = TypeVar("Result")
Answered_co = TypeVar("Answered_co", covariant=True)

# The fields of a message that is made at run time, so that no type has them.
Fields: TypeAlias = Mapping[str, object]

# What a front takes for a model that it does not have, or not yet, and says so.
OPEN_ROUTE = TypedRoute(EVERY_METHOD, ROWS_FIELD, "rows")


class Untyped(Protocol[Request, Answered_co]):
    """A typed method of the service: its answers, row by row, before they become a message."""

    @property
    def model(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def route(self) -> TypedRoute: ...

    def decode(self, message: bytes) -> Request: ...

    def collate(self, requests: Sequence[Request]) -> dict[str, Array]: ...

    def row_lengths(self, requests: Sequence[Request]) -> Sequence[int]: ...

    def results(self, request: Request, outputs: Mapping[str, Array]) -> Sequence[Answered_co]: ...


@dataclass(frozen=True, slots=True)
class OwnMethod(Generic[Request, Result]):
    """`untyped` by the model's own messages: `read` understands a request, `fields` says a result in the own words."""

    untyped: Untyped[Request, Result]
    read: Callable[[bytes], Request]
    fields: Callable[[Result], Fields]
    response: type[Message]
    route: TypedRoute

    def decode(self, message: bytes) -> Request:
        """Raises ServingError (INVALID_INPUT) as the typed method does."""
        try:
            return self.read(message)
        except ServingError as error:
            if error.reason == MALFORMED:
                raise malformed(request_name(self.route.method)) from None
            raise

    def collate(self, requests: Sequence[Request]) -> dict[str, Array]:
        return self.untyped.collate(requests)

    def row_lengths(self, requests: Sequence[Request]) -> Sequence[int]:
        return self.untyped.row_lengths(requests)

    def encode(self, request: Request, outputs: Mapping[str, Array]) -> bytes:
        """The typed method's results in the model's own response."""
        results = [self.fields(result) for result in self.untyped.results(request, outputs)]
        message = self.response(model=self.untyped.model, version=self.untyped.version, results=results)
        return message.SerializeToString()


class OwnService:
    """The service of one model-version, and the messages of its file."""

    def __init__(self, model: str, declared: Declaration) -> None:
        self._model, self._package = model, declared.package
        self._pool = DescriptorPool()
        self._pool.Add(declared.descriptor())

    def method(
        self,
        untyped: Untyped[Request, Result],
        fields: Callable[[Result], Fields],
        read: Callable[[bytes], Request] | None = None,
    ) -> OwnMethod[Request, Result]:
        """Its method of the typed method's name. Without `read` a request is, field by field, the typed method's."""
        name = untyped.route.method.rpartition("/")[2]
        route = TypedRoute(path_of(self._model, name), ROWS_FIELD, untyped.route.rows_name)
        response = self.message(message_name(self._model, name, "Response"))
        return OwnMethod(untyped, read or untyped.decode, fields, response, route)

    def message(self, name: str) -> type[Message]:
        return GetMessageClass(self._pool.FindMessageTypeByName(f"{self._package}.{name}"))


def own_file(manifest: ModelManifest) -> FileDescriptorProto | None:
    """What reflection tells of a model's own service; None where it has none."""
    try:
        return stub_of(manifest).descriptor()
    except StubError:
        return None


def ranked(classes: Classes, categories: Sequence[Category]) -> Fields:
    """Classes, likeliest first, as the fields of a result that says them."""
    scores = [one_class(classes, category) for category in categories]
    likeliest = {"likeliest": scores[0]["label"]} if scores and classes.values else {}
    return {**likeliest, "scores": scores}


def one_class(classes: Classes, category: Category) -> Fields:
    """One class as the fields that say it."""
    label = {"label": classes.number(category.label)} if classes.values else {}
    return {**label, "probability": category.score, "index": category.index}
