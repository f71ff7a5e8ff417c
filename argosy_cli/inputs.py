"""What the arguments of `argosy predict` mean: image files, texts, or rows of a table.

A person types what is at hand. `-` is standard input; `@FILE` is a file of texts, one a line; a table comes as JSON
text, a .json file or a .csv file, whose cells are read as the model's manifest types its columns. Whether the values
make sense is the service's to say: only what cannot be read at all is refused here.
"""

import csv
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from google.protobuf.struct_pb2 import Struct

from argosy.v1 import manifest_pb2
from argosy_cli.errors import misuse

Cell: TypeAlias = float | str | bool | None


@dataclass(frozen=True, slots=True)
class NamedImage:
    """An encoded image and what the caller called it."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class NamedRow:
    """A row and where it came from."""

    name: str
    values: Mapping[str, Cell]

    def struct(self) -> Struct:
        """As TabularService reads it."""
        row = Struct()
        row.update(self.values)
        return row


def read_images(arguments: Sequence[str]) -> list[NamedImage]:
    """The files named. Raises CliError for one that cannot be read."""
    # A file's name may be any bytes; what is shown of it is text.
    return [
        NamedImage(os.fsencode(argument).decode(errors="replace"), _read_bytes(argument, "image"))
        for argument in arguments
    ]


def read_texts(arguments: Sequence[str]) -> list[str]:
    """Each argument is a text, `@FILE` and `-` are one text a line. Raises CliError for one that cannot be read."""
    texts: list[str] = []
    for argument in arguments:
        if argument == "-" or argument.startswith("@"):
            texts += read_utf8(argument.removeprefix("@")).splitlines()
        else:
            texts.append(utf8_text(argument, "the text"))
    return texts


def read_rows(arguments: Sequence[str], columns: Sequence[manifest_pb2.TableColumn]) -> list[NamedRow]:
    """Each argument is a JSON object, an array of them, or a .json or .csv file. Raises CliError."""
    kinds = {column.name: column.kind for column in columns}
    rows: list[NamedRow] = []
    for argument in arguments:
        rows += _csv_rows(argument, kinds) if argument.lower().endswith(".csv") else _json_rows(argument)
    return rows


# As many bytes as a service takes.
_MOST_CHARACTERS = 1 << 20


def read_csv(path: str) -> Iterator[tuple[str, dict[str, str | None]]]:
    """`FILE:ROW` and the cells of each row, None where a row ends before the header does. Raises CliError."""
    csv.field_size_limit(_MOST_CHARACTERS)
    reader = csv.DictReader(io.StringIO(read_utf8(path), newline=""))
    number = 0
    try:
        for number, record in enumerate(reader, 1):
            name = f"{Path(path).name}:{number}"
            # Under the key None are the cells that a row has beyond the header's columns.
            if None in record:
                raise misuse(f"{name}: more cells than the header has columns")
            yield name, record
    except csv.Error as error:
        raise misuse(f"{Path(path).name}:{number + 1}: {error}: is a quote not closed?") from None


def _csv_rows(path: str, kinds: "Mapping[str, manifest_pb2.ColumnKind.ValueType]") -> Iterator[NamedRow]:
    for name, record in read_csv(path):
        yield NamedRow(name, {column: _cell(text, kinds.get(column), name, column) for column, text in record.items()})


def _cell(text: str | None, kind: "manifest_pb2.ColumnKind.ValueType | None", row: str, column: str) -> Cell:
    if text is None or not text.strip():
        return None
    if kind == manifest_pb2.COLUMN_KIND_NUMBER:
        try:
            return float(text)
        except ValueError:
            raise misuse(f"{row}: column '{column}' takes a number, got '{text}'") from None
    if kind == manifest_pb2.COLUMN_KIND_BOOLEAN:
        if text.strip().lower() not in ("true", "false"):
            raise misuse(f"{row}: column '{column}' takes true or false, got '{text}'")
        return text.strip().lower() == "true"
    return text.strip()


def _json_rows(argument: str) -> Iterator[NamedRow]:
    text = read_utf8(argument) if argument == "-" or argument.lower().endswith(".json") else argument
    try:
        document = json.loads(text)
    except ValueError as error:
        raise misuse(f"no JSON row: {error}; give one as '{{\"column\": 1.5}}', or name a .csv or .json file") from None
    records = document if isinstance(document, list) else [document]
    for number, record in enumerate(records, 1):
        if not isinstance(record, dict):
            raise misuse(f"row {number} is no JSON object: give column names and values, '{{\"column\": 1.5}}'")
        values = {utf8_text(column, "a column's name"): _json_cell(value, column) for column, value in record.items()}
        yield NamedRow(f"row {number}", values)


def _json_cell(value: object, column: str) -> Cell:
    if isinstance(value, str):
        return utf8_text(value, f"column '{column}'")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return float(value)
    raise misuse(f"column '{column}' takes a number, a text, true, false or null, got {json.dumps(value)[:40]}")


def utf8_text(text: str, what: str) -> str:
    """The text as it is. Raises CliError for an argument of other bytes, and for half a character of JSON's."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise misuse(f"{what} is not UTF-8 text") from None
    return text


def read_utf8(path: str) -> str:
    """A file, or standard input for `-`. Raises CliError where it cannot be read or is no UTF-8."""
    try:
        return _read_bytes(path, "file").decode("utf-8-sig")
    except UnicodeDecodeError:
        raise misuse(f"{path} is not UTF-8 text") from None


def _read_bytes(path: str, what: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise misuse(f"no {what} '{path}': {error.strerror}") from None
