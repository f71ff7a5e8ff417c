"""A declaration as a .proto file, for people and compilers: every field below its comment."""

from collections.abc import Iterator

from stubs.declaration import Declaration, Enum, Message, Rpc


def proto_text(declared: Declaration) -> str:
    """The .proto file, clean by `buf lint`."""
    last = declared.package.split(".")[-2]
    lines = [
        *(f"// {comment}" for comment in declared.comments),
        'syntax = "proto3";',
        "",
        f"package {declared.package};",
        "",
        f'option go_package = "argosy.dev/models/{last}/v1;{last.replace("_", "")}v1";',
        "option java_multiple_files = true;",
        f'option java_package = "dev.{declared.package}";',
        "",
        f"service {declared.service} {{",
        *(line for rpc in declared.rpcs for line in _rpc(rpc)),
        "}",
    ]
    for enum in declared.enums:
        lines += ["", *_enum(enum)]
    for message in declared.all_messages():
        lines += ["", *_message(message)]
    return "\n".join(lines) + "\n"


def _rpc(rpc: Rpc) -> Iterator[str]:
    yield f"  // {rpc.comment}"
    yield f"  rpc {rpc.name}({rpc.request.name}) returns ({rpc.response.name});"


def _enum(enum: Enum) -> Iterator[str]:
    yield f"enum {enum.name} {{"
    for value in enum.values:
        yield from _comment(value.comment)
        yield f"  {value.name} = {value.number};"
    yield "}"


def _message(message: Message) -> Iterator[str]:
    yield f"message {message.name} {{"
    for field in message.fields:
        yield from _comment(field.comment)
        yield "  " + " ".join(filter(None, (field.label, field.type, field.name))) + f" = {field.number};"
    yield "}"


def _comment(comment: str) -> Iterator[str]:
    if comment:
        yield f"  // {comment}"
