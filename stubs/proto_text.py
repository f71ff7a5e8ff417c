"""A stub as a .proto file for people and compilers: every field with its meaning, its unit and what may be missing."""

from collections.abc import Iterator, Sequence

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FieldDescriptorProto

from argosy.v1 import manifest_pb2 as pb
from stubs.table import METHOD, TableStub, column_number

_TYPE_NAMES = {
    FieldDescriptorProto.TYPE_DOUBLE: "double",
    FieldDescriptorProto.TYPE_FLOAT: "float",
    FieldDescriptorProto.TYPE_STRING: "string",
    FieldDescriptorProto.TYPE_BOOL: "bool",
}
_MOST_CATEGORIES = 12


def proto_text(stub: TableStub) -> str:
    """The .proto file, clean by `buf lint`."""
    file, manifest, comments = stub.file(), stub.manifest, _comments(stub)
    service = file.service[0]
    last = file.package.split(".")[-2]
    lines = [
        f"// {_line(manifest.description) or manifest.name}",
        f"// Made of version {manifest.version} of '{manifest.name}'; every version that has these columns answers it.",
        "// A field's number is made of the column's name and kind: do not change it.",
        'syntax = "proto3";',
        "",
        f"package {file.package};",
        "",
        f'option go_package = "argosy.dev/models/{last}/v1;{last.replace("_", "")}v1";',
        "option java_multiple_files = true;",
        f'option java_package = "dev.{file.package}";',
        "",
        f"service {service.name} {{",
        "  // One result a row, in the order of the request. What the model does not know is INVALID_ARGUMENT.",
        f"  rpc {METHOD}({stub.request_name}) returns ({stub.response_name});",
        "}",
    ]
    for enum in file.enum_type:
        lines += ["", *_enum(enum, list(stub.classes))]
    for message in file.message_type:
        lines += ["", *_message(message, comments)]
    return "\n".join(lines) + "\n"


def _enum(enum: EnumDescriptorProto, labels: Sequence[str]) -> Iterator[str]:
    yield f"enum {enum.name} {{"
    for value, label in zip(enum.value, ["", *labels], strict=True):
        if label:
            yield f"  // '{_line(label)}'"
        yield f"  {value.name} = {value.number};"
    yield "}"


def _message(message: DescriptorProto, comments: dict[tuple[str, int], str]) -> Iterator[str]:
    yield f"message {message.name} {{"
    for field in message.field:
        if comment := comments.get((message.name, field.number), ""):
            yield f"  // {comment}"
        type_name = field.type_name.rsplit(".", 1)[-1] or _TYPE_NAMES[field.type]
        repeated = "repeated " if field.label == FieldDescriptorProto.LABEL_REPEATED else ""
        yield f"  {'optional ' if field.proto3_optional else repeated}{type_name} {field.name} = {field.number};"
    yield "}"


def _comments(stub: TableStub) -> dict[tuple[str, int], str]:
    """By message and field number."""
    row, result = f"{stub.prefix}Row", f"{stub.prefix}Result"
    found = {
        (stub.request_name, 1): f"Always '{stub.manifest.name}'.",
        (stub.request_name, 2): "Empty: the version that is served by default.",
        (stub.request_name, 3): "At least one.",
        (stub.response_name, 2): "The version that answered.",
        (f"{stub.prefix}Score", 2): "In [0, 1].",
        (result, 2): "Every class, likeliest first.",
        (
            result,
            3,
        ): "Columns whose value was missing and which the model filled in, by the names that it has for them.",
    }
    found |= {(row, column_number(column)): _column(column) for column in stub.manifest.table.columns}
    outputs = {spec.name: spec for spec in stub.manifest.outputs}
    for field in next(message for message in stub.file().message_type if message.name == result).field:
        for output, name in stub.values.items():
            if field.name == name:
                spec = outputs[output]
                found[result, field.number] = _line(f"{spec.meaning}{f', in {spec.unit}' if spec.unit else ''}")
    return found


def _column(column: pb.TableColumn) -> str:
    parts = [f"'{column.name}'" + (f": {column.meaning}" if column.meaning else "")]
    parts += [f"in {column.unit}"] if column.unit else []
    if column.categories:
        more = ", …" if len(column.categories) > _MOST_CATEGORIES else ""
        parts.append(f"one of {', '.join(column.categories[:_MOST_CATEGORIES])}{more}")
    needed = column.missing != pb.MISSING_POLICY_IMPUTE
    parts.append("must be there" if needed else "may be missing")
    return _line("; ".join(parts) + ".")


def _line(text: str) -> str:
    return " ".join(text.split())
