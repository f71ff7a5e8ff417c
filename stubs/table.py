"""The service of a table model: a row with a field a column, a result with its classes or its numbers.

`argosy.models.<model>.v1.<Model>Service/Predict` asks what TabularService/Predict asks. Every column is optional,
because a missing value is an answer too. A field's number is made of the column's name and kind, not of its place.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from argosy.v1 import manifest_pb2 as pb
from stubs.classes import Classes, classes_of
from stubs.declaration import Declaration, Field, Message
from stubs.messages import declaration, one_line, rows, rpc
from stubs.names import StubError, camel, check_numbers, distinct, number_of

METHOD = "Predict"

_TYPES: Mapping[int, str] = {
    pb.COLUMN_KIND_NUMBER: "double",
    pb.COLUMN_KIND_TEXT: "string",
    pb.COLUMN_KIND_BOOLEAN: "bool",
}
_CLASSES = (pb.OUTPUT_ROLE_PROBABILITIES, pb.OUTPUT_ROLE_LOGITS)
_MOST_CATEGORIES = 12


@dataclass(frozen=True, slots=True)
class TableStub:
    """The names of one model's stub: columns and output values to those of their fields; its classes, if it has any."""

    manifest: pb.ModelManifest
    columns: Mapping[str, str]
    values: Mapping[str, str]
    classes: Classes | None

    def declaration(self) -> Declaration:
        prefix = camel(self.manifest.name)
        row = Message(f"{prefix}Row", tuple(self._columns()))
        result = Message(f"{prefix}Result", tuple(self._result()))
        comment = "One result a row, in the order of the request. What the model does not know is INVALID_ARGUMENT."
        method = rpc(self.manifest, METHOD, comment, rows("rows", row.name, "At least one."), result)
        if self.classes is None:
            return declaration(self.manifest, [(method, (row, result))], ())
        messages = row, result, self.classes.score_message()
        return declaration(self.manifest, [(method, messages)], self.classes.enums())

    def _columns(self) -> Iterator[Field]:
        for column in self.manifest.table.columns:
            name, comment = self.columns[column.name], _column_comment(column)
            yield Field(name, column_number(column), _TYPES[column.kind], comment, "optional")

    def _result(self) -> Iterator[Field]:
        if self.classes:
            yield from self.classes.ranked("Every class")
        imputed = "Columns whose value was missing and which the model filled in, by the names that it has for them."
        yield Field("imputed_columns", 3, "string", imputed, "repeated")
        for spec in self.manifest.outputs:
            if spec.name in self.values:
                comment = one_line(f"{spec.meaning}{f', in {spec.unit}' if spec.unit else ''}")
                yield Field(self.values[spec.name], number_of(spec.name, "value"), "double", comment)


def table_stub(manifest: pb.ModelManifest) -> TableStub:
    """The stub of a table model. Raises StubError where there is none to be had."""
    columns = manifest.table.columns
    if not columns:
        raise StubError(f"'{manifest.name}' states no column of its table")
    kinds = {column.name: str(column.kind) for column in columns}
    check_numbers({column.name: column_number(column) for column in columns})
    # A classifier may answer a number as well, from which its probabilities were made: no row of its method has it.
    predicts = pb.TASK_TABULAR_REGRESSION in manifest.tasks
    values = [spec.name for spec in manifest.outputs if predicts and spec.role == pb.OUTPUT_ROLE_VALUE]
    classifies = any(spec.role in _CLASSES for spec in manifest.outputs)
    return TableStub(
        manifest,
        columns=distinct(list(kinds), kinds.__getitem__),
        values=distinct(values, lambda _: "value", taken=["likeliest", "scores", "imputed_columns"]),
        classes=classes_of(manifest) if classifies else None,
    )


def column_number(column: pb.TableColumn) -> int:
    """A column of another kind is another field."""
    return number_of(column.name, str(column.kind))


def _column_comment(column: pb.TableColumn) -> str:
    parts = [f"'{column.name}'" + (f": {column.meaning}" if column.meaning else "")]
    parts += [f"in {column.unit}"] if column.unit else []
    if column.categories:
        more = ", …" if len(column.categories) > _MOST_CATEGORIES else ""
        parts.append(f"one of {', '.join(column.categories[:_MOST_CATEGORIES])}{more}")
    needed = column.missing != pb.MISSING_POLICY_IMPUTE
    parts.append("must be there" if needed else "may be missing")
    return one_line("; ".join(parts) + ".")
