"""What the messages of every model's own service have in common: where the model is named, and how they are called."""

from collections.abc import Sequence
from typing import TypeAlias

from argosy.v1 import manifest_pb2 as pb
from stubs.declaration import Declaration, Enum, Field, Message, Rpc
from stubs.names import ROWS_FIELD, StubError, file_name, package_of, service_of

# A method with the messages that its rows and results are made of.
Method: TypeAlias = tuple[Rpc, tuple[Message, ...]]


def rpc(manifest: pb.ModelManifest, name: str, comment: str, rows: Field, result: Message, *more: Field) -> Rpc:
    """A method whose request has `rows` and, behind them, what else the caller may ask; one `result` a row."""
    asked = (
        Field("model", 1, "string", f"Always '{manifest.name}'."),
        Field("version", 2, "string", "Empty: the version that is served by default."),
        rows,
        *more,
    )
    answered = (
        Field("model", 1, "string"),
        Field("version", 2, "string", "The version that answered."),
        Field("results", 3, result.name, label="repeated"),
    )
    request = Message(message_name(manifest.name, name, "Request"), asked)
    return Rpc(name, comment, request, Message(message_name(manifest.name, name, "Response"), answered))


def rows(name: str, type_name: str, comment: str) -> Field:
    """The field of a request whose elements are its rows."""
    return Field(name, ROWS_FIELD, type_name, comment, "repeated")


def message_name(model: str, method: str, end: str) -> str:
    """'income', 'Predict', 'Request' -> 'IncomeServicePredictRequest'."""
    return f"{service_of(model)}{method}{end}"


def declaration(manifest: pb.ModelManifest, methods: Sequence[Method], enums: Sequence[Enum]) -> Declaration:
    """The file of a model; messages that several methods have are in it once. Raises StubError for no method."""
    if not methods:
        raise StubError(f"'{manifest.name}' states no task: there is nothing to make a method of")
    comments = (
        one_line(manifest.description) or manifest.name,
        f"Made of version {manifest.version} of '{manifest.name}'; other versions answer it too.",
        "Long numbers are made of the names in the model's manifest: do not change them.",
    )
    return Declaration(
        path=file_name(manifest.name),
        package=package_of(manifest.name),
        comments=comments,
        service=service_of(manifest.name),
        rpcs=tuple(method for method, _ in methods),
        enums=tuple(enums),
        messages=tuple(dict.fromkeys(message for _, messages in methods for message in messages)),
    )


def one_line(text: str) -> str:
    return " ".join(text.split())
