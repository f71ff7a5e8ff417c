"""The messages and the service of one table model, as a file descriptor: what the service reads and the stub says.

`argosy.models.<model>.v1.<Model>Service/Predict` asks what TabularService/Predict asks. Model and version are in
fields 1 and 2, as in every request of the fleet, so that fronts and router need no more than those to place it. Every
column is optional, because a missing value is an answer too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

from argosy.v1 import manifest_pb2 as pb
from stubs.names import StubError, camel, check_numbers, distinct, number_of, snake

METHOD = "Predict"
ROWS_FIELD = 3
UNSPECIFIED = "unspecified"

_TYPES: Mapping[int, FieldDescriptorProto.Type.ValueType] = {
    pb.COLUMN_KIND_NUMBER: FieldDescriptorProto.TYPE_DOUBLE,
    pb.COLUMN_KIND_TEXT: FieldDescriptorProto.TYPE_STRING,
    pb.COLUMN_KIND_BOOLEAN: FieldDescriptorProto.TYPE_BOOL,
}
_CLASSES = (pb.OUTPUT_ROLE_PROBABILITIES, pb.OUTPUT_ROLE_LOGITS)


@dataclass(frozen=True, slots=True)
class TableStub:
    """The names of one model's stub: column, class and output names to those of fields and enum values."""

    manifest: pb.ModelManifest
    columns: Mapping[str, str]
    classes: Mapping[str, str]
    values: Mapping[str, str]

    @property
    def prefix(self) -> str:
        """What the messages' names begin with."""
        return camel(self.manifest.name)

    @property
    def package(self) -> str:
        return f"argosy.models.{snake(self.manifest.name)}.v1"

    def file(self) -> FileDescriptorProto:
        """The whole file."""
        file = FileDescriptorProto(name=file_name(self.manifest.name), package=self.package, syntax="proto3")
        if self.classes:
            self._add_classes(file)
        file.message_type.extend([self._request(), self._row(), self._response(), self._result()])
        service = file.service.add(name=f"{self.prefix}Service")
        service.method.add(
            name=METHOD, input_type=self._type(self.request_name), output_type=self._type(self.response_name)
        )
        return file

    @property
    def request_name(self) -> str:
        return f"{self.prefix}Service{METHOD}Request"

    @property
    def response_name(self) -> str:
        return f"{self.prefix}Service{METHOD}Response"

    def _type(self, name: str) -> str:
        return f".{self.package}.{name}"

    def _request(self) -> DescriptorProto:
        message = _addressed(self.request_name)
        _repeated(message, "rows", ROWS_FIELD, self._type(f"{self.prefix}Row"))
        return message

    def _response(self) -> DescriptorProto:
        message = _addressed(self.response_name)
        _repeated(message, "results", 3, self._type(f"{self.prefix}Result"))
        return message

    def _row(self) -> DescriptorProto:
        message = DescriptorProto(name=f"{self.prefix}Row")
        for place, column in enumerate(self.manifest.table.columns):
            name = self.columns[column.name]
            message.oneof_decl.add(name=f"_{name}")
            message.field.add(
                name=name,
                number=column_number(column),
                type=_TYPES[column.kind],
                label=FieldDescriptorProto.LABEL_OPTIONAL,
                proto3_optional=True,
                oneof_index=place,
            )
        return message

    def _result(self) -> DescriptorProto:
        message = DescriptorProto(name=f"{self.prefix}Result")
        if self.classes:
            enum = self._type(f"{self.prefix}Class")
            message.field.add(name="likeliest", number=1, type=FieldDescriptorProto.TYPE_ENUM, type_name=enum)
            _repeated(message, "scores", 2, self._type(f"{self.prefix}Score"))
        message.field.add(
            name="imputed_columns",
            number=3,
            type=FieldDescriptorProto.TYPE_STRING,
            label=FieldDescriptorProto.LABEL_REPEATED,
        )
        for output, name in self.values.items():
            message.field.add(name=name, number=number_of(output, "value"), type=FieldDescriptorProto.TYPE_DOUBLE)
        return message

    def _add_classes(self, file: FileDescriptorProto) -> None:
        enum = file.enum_type.add(name=f"{self.prefix}Class")
        enum.value.add(name=self.class_value(UNSPECIFIED), number=0)
        for label, name in self.classes.items():
            enum.value.add(name=self.class_value(name), number=class_number(label))
        score = file.message_type.add(name=f"{self.prefix}Score")
        score.field.add(
            name="label", number=1, type=FieldDescriptorProto.TYPE_ENUM, type_name=self._type(f"{self.prefix}Class")
        )
        score.field.add(name="probability", number=2, type=FieldDescriptorProto.TYPE_FLOAT)

    def class_value(self, name: str) -> str:
        """'lt_eq_50k' -> 'INCOME_CLASS_LT_EQ_50K'."""
        return f"{snake(self.manifest.name)}_class_{name}".upper()


def table_stub(manifest: pb.ModelManifest) -> TableStub:
    """The stub of a table model. Raises StubError where there is none to be had."""
    columns = manifest.table.columns
    if not columns:
        raise StubError(f"'{manifest.name}' reads no table: typed stubs are made of a table's columns")
    kinds = {column.name: str(column.kind) for column in columns}
    check_numbers({column.name: column_number(column) for column in columns})
    values = [spec.name for spec in manifest.outputs if spec.role == pb.OUTPUT_ROLE_VALUE]
    labels = list(manifest.labels) if any(spec.role in _CLASSES for spec in manifest.outputs) else []
    check_numbers({label: class_number(label) for label in labels})
    return TableStub(
        manifest,
        columns=distinct(list(kinds), kinds.__getitem__),
        classes=distinct(labels, lambda _: "class", taken=[UNSPECIFIED]),
        values=distinct(values, lambda _: "value", taken=["likeliest", "scores", "imputed_columns"]),
    )


def path_of(model: str) -> str:
    """The method's path, which the model's name alone decides."""
    return f"/argosy.models.{snake(model)}.v1.{camel(model)}Service/{METHOD}"


def file_name(model: str) -> str:
    """Where the .proto lies below a folder of protos: its package as folders."""
    return f"argosy/models/{snake(model)}/v1/{snake(model)}.proto"


def column_number(column: pb.TableColumn) -> int:
    """A column of another kind is another field."""
    return number_of(column.name, str(column.kind))


def class_number(label: str) -> int:
    return number_of(label, "class")


def _addressed(name: str) -> DescriptorProto:
    message = DescriptorProto(name=name)
    message.field.add(name="model", number=1, type=FieldDescriptorProto.TYPE_STRING)
    message.field.add(name="version", number=2, type=FieldDescriptorProto.TYPE_STRING)
    return message


def _repeated(message: DescriptorProto, name: str, number: int, type_name: str) -> None:
    message.field.add(
        name=name,
        number=number,
        type=FieldDescriptorProto.TYPE_MESSAGE,
        label=FieldDescriptorProto.LABEL_REPEATED,
        type_name=type_name,
    )
