"""A .proto file as it is declared: the service of one model, its messages and enums, each with its comment.

The text that compilers read and the descriptor that services build their messages of are both made of this one value,
so they cannot differ. It knows no model.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

_SCALARS: Mapping[str, FieldDescriptorProto.Type.ValueType] = {
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "float": FieldDescriptorProto.TYPE_FLOAT,
    "uint32": FieldDescriptorProto.TYPE_UINT32,
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
}


@dataclass(frozen=True, slots=True)
class Field:
    """`type` is one of protobuf's, or the name of a message or an enum of the file."""

    name: str
    number: int
    type: str
    comment: str = ""
    label: Literal["", "optional", "repeated"] = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message and its fields."""

    name: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class EnumValue:
    """One value; the first of an enum is number 0."""

    name: str
    number: int
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Enum:
    """An enum and its values."""

    name: str
    values: tuple[EnumValue, ...]


@dataclass(frozen=True, slots=True)
class Rpc:
    """A unary method with messages of its own."""

    name: str
    comment: str
    request: Message
    response: Message


@dataclass(frozen=True, slots=True)
class Declaration:
    """A file with one service; `messages` are those that requests and responses are made of."""

    path: str
    package: str
    comments: tuple[str, ...]
    service: str
    rpcs: tuple[Rpc, ...]
    enums: tuple[Enum, ...] = ()
    messages: tuple[Message, ...] = ()

    def all_messages(self) -> Iterator[Message]:
        """In the order of the file."""
        for rpc in self.rpcs:
            yield rpc.request
            yield rpc.response
        yield from self.messages

    def descriptor(self) -> FileDescriptorProto:
        """The file as protobuf builds messages of it."""
        file = FileDescriptorProto(name=self.path, package=self.package, syntax="proto3")
        for enum in self.enums:
            made = file.enum_type.add(name=enum.name)
            for value in enum.values:
                made.value.add(name=value.name, number=value.number)
        file.message_type.extend(map(self._message, self.all_messages()))
        service = file.service.add(name=self.service)
        for rpc in self.rpcs:
            types = self._absolute(rpc.request.name), self._absolute(rpc.response.name)
            service.method.add(name=rpc.name, input_type=types[0], output_type=types[1])
        return file

    def _message(self, message: Message) -> DescriptorProto:
        made = DescriptorProto(name=message.name)
        for field in message.fields:
            repeated = field.label == "repeated"
            placed = made.field.add(
                name=field.name,
                number=field.number,
                label=FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL,
            )
            if field.type in _SCALARS:
                placed.type = _SCALARS[field.type]
            else:
                is_enum = any(enum.name == field.type for enum in self.enums)
                placed.type = FieldDescriptorProto.TYPE_ENUM if is_enum else FieldDescriptorProto.TYPE_MESSAGE
                placed.type_name = self._absolute(field.type)
            if field.label == "optional":
                placed.proto3_optional = True
                placed.oneof_index = len(made.oneof_decl)
                made.oneof_decl.add(name=f"_{field.name}")
        return made

    def _absolute(self, name: str) -> str:
        return f".{self.package}.{name}"
